use clap::Parser;

use super::*;
use crate::error::EXIT_USAGE;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ProfileArgs,
}

fn address(arguments: &[&str]) -> Result<String, (u8, String)> {
    let args = Line::parse_from([&["profile"], arguments].concat()).args;
    args.address(args.output.as_deref()).map_err(|Failure(code, why)| (code, why))
}

#[test]
fn arguments_become_an_address() {
    for (arguments, expected) in [
        (&[][..], "profile?seconds=10&format=json"),
        (
            &["--span", "GET /x", "--seconds", "0.5", "--hz", "199"],
            "profile?seconds=0.5&hz=199&span=GET%20%2Fx&format=json",
        ),
        (&["--since", "10m", "-o", "x.svg"], "profile?since=10m&format=svg"),
        (&["--trace-id", "ab", "-o", "x.pb.gz"], "profile?trace_id=ab&format=pprof"),
        (&["--kind", "heap"], "heap?format=json"),
        (&["--kind", "allocs", "--seconds", "3"], "allocs?seconds=3&format=json"),
        (&["--kind", "trace", "--seconds", "2", "-o", "t"], "trace?seconds=2"),
    ] {
        assert_eq!(address(arguments).unwrap(), format!("http://127.0.0.1:6060/debug/pprof/{expected}"));
    }
    assert_eq!(
        address(&["--url", "http://lab:1/"]).unwrap(),
        "http://lab:1/debug/pprof/profile?seconds=10&format=json"
    );
}

#[test]
fn what_is_no_address_is_refused() {
    for bad in ["lab:6060", "https://lab", "http://lab/?x", ""] {
        let (code, why) = address(&["--url", bad]).unwrap_err();
        assert!(code == EXIT_USAGE && why.contains("http://127.0.0.1:6060"), "{bad}: {why}");
    }
}
