//! The queue over HTTP. Catches: tasks that are lost or done twice, senders that are not told, tasks whose traces do not
//! lead back to their request, a stop that forgets what was accepted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::{Receiver, attribute};

use crate::server::Server;

/// Ten times as long as a hundred requests and some take.
const FAST_FOR: Duration = Duration::from_secs(5);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_accepted_is_done_once_and_what_is_rejected_is_told() {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let server = Server::start(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("PHASELAB_SHUTDOWN_TIMEOUT", "600s"),
    ]);
    // The number of each task that was accepted, and the span of the request that sent it.
    let mut accepted = HashMap::new();
    let mut rejected = 0;
    let started = Instant::now();
    while rejected < 20 {
        // Where requests are too slow for it the tasks are too, so that the queue is full at some time on any machine.
        let work = if started.elapsed() < FAST_FOR { 300 } else { 10_000 };
        let answer = server.request("POST", &format!("/api/tasks?work_ms={work}"), &[]);
        if answer.status == 202 {
            let (trace, span) = answer.trace();
            assert_eq!(answer.json()["trace_id"], trace);
            assert!(accepted.insert(answer.json()["id"].as_i64().unwrap(), span).is_none());
        } else {
            answer.problem(429, "queue_full");
            // A hundred tasks of 0.3 s for four workers, in whole seconds.
            let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!(retry_after == 8 || (work > 300 && retry_after > 8), "{retry_after}");
            rejected += 1;
        }
    }
    let counts = server.get("/api/tasks").json();
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!((count("accepted"), count("rejected")), (accepted.len() as u64, rejected), "{counts}");
    assert_eq!(count("accepted"), count("depth") + count("running") + count("processed"), "{counts}");
    assert_eq!((count("capacity"), count("workers")), (100, 4));
    for (name, value) in [("app_tasks_rejected_total", "20"), ("app_queue_capacity", "100")] {
        let series = server.series(&[name]);
        assert!(series.len() == 1 && series[0].ends_with(&format!(" {value}")), "{series:?}");
    }
    let statuses = server.series(&["http_server_request_duration_seconds_count", "/api/tasks", "\"POST\""]);
    assert!(["202", "429"].iter().all(|status| statuses.iter().any(|line| line.contains(status))), "{statuses:?}");
    server.stop();

    for found in receiver.received().spans() {
        let span = found.span;
        if span.name != "queued task" {
            continue;
        }
        let Some(Value::IntValue(id)) = attribute(&span.attributes, "task.id") else { panic!("{span:?}") };
        let request = accepted.remove(id).unwrap_or_else(|| panic!("{id} was done twice or never accepted"));
        assert_eq!(span.links.iter().map(|link| hex(&link.span_id)).collect::<Vec<_>>(), [request]);
        assert!(span.parent_span_id.is_empty() && span.trace_id != span.links[0].trace_id, "{span:?}");
    }
    assert!(accepted.is_empty(), "never done: {accepted:?}");
}

#[test]
fn what_is_not_done_at_the_end_is_reported() {
    let server = Server::start(&[("PHASELAB_SHUTDOWN_TIMEOUT", "200ms")]);
    for _ in 0..6 {
        assert_eq!(server.request("POST", "/api/tasks?work_ms=10000", &[]).status, 202);
    }
    let line = server.stop().wait_for("queued tasks were accepted and are not done");
    assert_eq!(line["fields"]["tasks"], 6, "{line}");
}

#[test]
fn bad_input_is_explained() {
    let server = Server::start(&[]);
    server.request("POST", "/api/tasks?work_ms=10001", &[]).problem(400, "invalid_parameter");
    let put = server.request("PUT", "/api/tasks", &[]);
    put.problem(405, "method_not_allowed");
    assert_eq!(put.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(server.get("/api/tasks").json()["accepted"], 0);
}
