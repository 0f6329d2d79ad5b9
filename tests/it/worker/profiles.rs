//! Profiles name the functions that make the mistakes, and not those of the worker that makes none.

use super::{KINDS, start, sum, wait_until};
use crate::client::{Answer, PATIENCE};
use crate::diagnostics::send_to;
use crate::server::Server;

/// The stacks of a profile, one a line.
fn folded(server: &Server, path: &str) -> String {
    let line = server.log.wait_for("diagnostics are listening");
    let address = line["fields"]["address"].as_str().unwrap().parse().unwrap();
    let mut stream = send_to(address, "GET", &format!("/debug/pprof/{path}format=folded"), &[]);
    // Turning the addresses of a debug build into names takes seconds, and longer where others compute too.
    stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn profiles_of_the_bad_one_name_its_mistakes() {
    for kind in KINDS {
        let server = start(
            kind,
            &["--tasks", "20000", "--workers", "4", "--duration", "1000s"],
            &[("PHASELAB_DIAGNOSTICS_LISTEN", "127.0.0.1:0")],
        );
        // The heap is sampled: in 5 MB of history there are ten samples on average.
        wait_until("some tasks are done", || sum(&server, "worker_tasks_processed_total") > 350.0);
        for (path, functions) in [
            (
                "profile?since=10m&span=worker_task&",
                &["sort_inserting", "normalize_copying", "count_copying", "settle_under_lock"][..],
            ),
            ("heap?", &["remember_everything"]),
            ("allocs?", &["normalize_copying", "sort_inserting", "count_copying"]),
            ("goroutine?", &["wait_for_an_answer"]),
        ] {
            let stacks = folded(&server, path);
            for function in functions {
                assert_eq!(stacks.contains(function), kind == "bad", "{function} in {path} of {kind}: {stacks}");
            }
        }
    }
}
