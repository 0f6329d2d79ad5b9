//! Profiles name the functions that make the mistakes, and not those of the worker that makes none.

use super::{KINDS, start, sum, wait_until};
use crate::client::Answer;
use crate::diagnostics::send_to;
use crate::server::Server;

/// The stacks of a profile, one a line.
fn folded(server: &Server, path: &str) -> String {
    let line = server.log.wait_for("diagnostics are listening");
    let address = line["fields"]["address"].as_str().unwrap().parse().unwrap();
    let answer = Answer::read(&mut send_to(address, "GET", &format!("/debug/pprof/{path}format=folded"), &[]));
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
            if kind == "bad" {
                // Each task adds to what is sampled; and tasks that are asked what they do may answer too late once.
                let what = format!("{functions:?} in {path}");
                wait_until(&what, || {
                    let stacks = folded(&server, path);
                    functions.iter().all(|function| stacks.contains(function))
                });
            } else {
                let stacks = folded(&server, path);
                for function in functions {
                    assert!(!stacks.contains(function), "{function} in {path}: {stacks}");
                }
            }
        }
    }
}
