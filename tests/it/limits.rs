//! Requests are bounded in time and number. Catches: work that goes on after its request, a root span that ends before
//! its children, probes that starve under load.

use std::io::Write as _;
use std::time::{Duration, Instant};

use otlp_testkit::{FoundSpan, Receiver};

use crate::client::{Answer, PATIENCE, head, send};
use crate::server::Server;

fn times_out(query: &str, cut_phase: &str) {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let server = Server::start(&[
        ("PHASELAB_REQUEST_TIMEOUT", "3s"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ]);
    // So that the time is over in the phase that is asked for, and not before it.
    server.wait_until_ready();
    let started = Instant::now();
    let answer = server.get(&format!("/api/work?{query}"));
    answer.problem(504, "timeout");
    assert!(started.elapsed() >= Duration::from_secs(3));
    let (trace, root) = answer.trace();
    let of_trace = |spans: Vec<FoundSpan>| -> Vec<_> {
        let id = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let ours = spans.into_iter().filter(|found| id(&found.span.trace_id) == trace);
        ours.map(|found| (id(&found.span.span_id), found.span)).collect()
    };
    // The root comes last, so once it is there all are.
    let received =
        receiver.wait_for_blocking(PATIENCE, |received| of_trace(received.spans()).iter().any(|(id, _)| *id == root));
    let spans = of_trace(received.unwrap().spans());
    let end_of_root = spans.iter().find(|(id, _)| *id == root).unwrap().1.end_time_unix_nano;
    let (_, phase) = spans.iter().find(|(_, span)| span.name == cut_phase).unwrap();
    assert!(phase.end_time_unix_nano <= end_of_root);
    assert_eq!(phase.status.as_ref().unwrap().code, 2, "{phase:?}");
    // The phase stopped when its request did, not when its work was done.
    let took = Duration::from_nanos(phase.end_time_unix_nano - phase.start_time_unix_nano);
    assert!(took < Duration::from_secs(30), "{took:?}");
    let section = format!("section=\"{cut_phase}\"");
    assert_eq!(server.series(&["section_duration_seconds_count", &section, "} 1"]).len(), 1);
}

#[test]
fn a_slow_query_times_out() {
    times_out("db_ms=60000", "db_query");
}

#[test]
fn a_long_loop_times_out_and_its_root_waits_for_it() {
    times_out("loop_iterations=10000000000", "cpu_loop");
}

#[test]
fn a_body_that_does_not_come_is_the_clients_fault() {
    let server = Server::start(&[("PHASELAB_REQUEST_TIMEOUT", "300ms")]);
    let mut stream = send(server.address, head("GET", "/api/null", &[("Content-Length", "5")]).as_bytes());
    Answer::read(&mut stream).problem(408, "slow_body");
}

#[test]
fn over_the_limit_clients_are_turned_away_and_probes_are_not() {
    let server = Server::start(&[("PHASELAB_MAX_CONCURRENT_REQUESTS", "1")]);
    server.wait_until_ready();
    // It is inside until its body has come.
    let mut slow = send(server.address, head("GET", "/api/null", &[("Content-Length", "1")]).as_bytes());
    server.wait_until_busy();
    let refused = server.get("/api/null");
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let in_flight = server.series(&["http_server_active_requests", "\"GET\""]);
    assert!(in_flight[0].ends_with(" 2"), "the slow one and the scrape: {in_flight:?}");
    slow.write_all(b"x").unwrap();
    assert_eq!(Answer::read(&mut slow).status, 200);
    assert_eq!(server.get("/api/null").status, 200);
}

#[test]
fn a_client_that_goes_away_is_recorded_and_frees_its_place() {
    let server = Server::start(&[("PHASELAB_MAX_CONCURRENT_REQUESTS", "1")]);
    let client = send(server.address, head("GET", "/api/work?db_ms=60000", &[]).as_bytes());
    server.wait_until_busy();
    drop(client);
    let started = Instant::now();
    let cancelled = || server.series(&["http_server_request_duration_seconds_count", "cancelled", "/api/work"]);
    while cancelled().is_empty() {
        assert!(started.elapsed() < PATIENCE);
    }
    assert_eq!(server.get("/api/null").status, 200);
}
