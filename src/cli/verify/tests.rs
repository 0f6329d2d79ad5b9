//! Arguments and exit codes of `phaselab verify`.

use clap::{CommandFactory, Parser};

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    args: VerifyArgs,
}

fn parse(arguments: &[&str]) -> Result<VerifyArgs, clap::Error> {
    Command::try_parse_from([&["verify"], arguments].concat()).map(|command| command.args)
}

#[test]
fn the_defaults_are_the_lab() {
    Command::command().debug_assert();
    let settings = parse(&[]).unwrap().settings().unwrap();
    assert_eq!(settings.selector, "job=\"phaselab\"");
    assert_eq!(settings.range, Range::Last(Duration::from_secs(900)));
    assert_eq!(settings.store.kind, None);
}

#[test]
fn flags_aim_elsewhere() {
    let arguments = [
        "--selector",
        "job=\"scraped\"",
        "--trace-store",
        "jaeger",
        "--start",
        "1700000000",
        "--end",
        "2023-11-14T23:00:00Z",
    ];
    let settings = parse(&arguments).unwrap().settings().unwrap();
    assert_eq!(settings.selector, "job=\"scraped\"");
    assert_eq!(settings.store.kind, Some(Kind::Jaeger));
    assert_eq!(settings.range.seconds(SystemTime::now()), (1_700_000_000.0, 1_700_002_800.0));
    assert_eq!(parse(&["--watch"]).unwrap().watch, Some(Duration::from_secs(60)));
    assert_eq!(parse(&["--watch", "5s"]).unwrap().watch, Some(Duration::from_secs(5)));
}

#[test]
fn bad_arguments_are_refused_with_the_fix() {
    let bad: [(&[&str], &str); 11] = [
        (&["--since", "15"], "write for example 30s"),
        (&["--since", "0s"], "not above zero"),
        (&["--prometheus-url", "https://a"], "http://127.0.0.1:9090"),
        (&["--tempo-url", "a:3200"], "http://127.0.0.1:9090"),
        (&["--trace-store", "zipkin"], "jaeger"),
        (&["--service", "a\"b"], "--selector"),
        (&["--service", "a", "--selector", "b=\"c\""], "cannot be used with"),
        (&["--start", "1700000000"], "--end"),
        (&["--start", "yesterday", "--end", "1700000000"], "2026-01-31T12:00:00Z"),
        (&["--watch", "--start", "1", "--end", "2"], "cannot be used with"),
        (&["--everything"], "unexpected"),
    ];
    for (arguments, fix) in bad {
        let error = parse(arguments).unwrap_err().to_string();
        assert!(error.contains(fix), "{arguments:?}: {error}");
    }
}

#[tokio::test]
async fn a_range_the_wrong_way_round_is_a_usage_error() {
    let args = parse(&["--start", "2", "--end", "1"]).unwrap();
    assert_eq!(run(args).await, ExitCode::from(64));
}

#[tokio::test]
async fn a_prometheus_that_is_down_is_exit_code_2() {
    let nobody = "http://127.0.0.1:1";
    let args = parse(&["--prometheus-url", nobody, "--tempo-url", nobody, "--jaeger-url", nobody]).unwrap();
    assert_eq!(run(args).await, ExitCode::from(2));
}
