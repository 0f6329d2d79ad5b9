//! The end. Catches: requests that are cut, spans that are lost, a process that will not end.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use otlp_testkit::Receiver;

use crate::client::{Answer, PATIENCE, head, send};
use crate::server::Server;

/// Waits until the server refuses connections, which it does as soon as it stops.
fn wait_until_closed(server: &Server) {
    let started = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(started.elapsed() < PATIENCE);
    }
}

fn finishes_and_flushes(signal: &str) {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let server = Server::start(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ]);
    let mut slow = send(server.address, head("GET", "/api/work?db_ms=3000", &[]).as_bytes());
    server.wait_until_busy();
    server.signal(signal);
    wait_until_closed(&server);
    let answer = Answer::read(&mut slow);
    assert_eq!(answer.status, 200);
    let (trace, _) = answer.trace();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    let report = log.wait_for("telemetry has stopped")["fields"].clone();
    assert!(report["picked"].as_u64().unwrap() >= 3, "{report}");
    assert_eq!((&report["shipped"], &report["waiting"]), (&report["picked"], &0.into()), "{report}");
    let received = receiver.received();
    let of_trace = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == trace;
    assert_eq!(received.spans().iter().filter(|found| of_trace(&found.span.trace_id)).count(), 4);
    // The metrics went after the spans, so the last exemplars went with them.
    let exemplars = received.exemplars_of("section.duration");
    assert!(exemplars.iter().any(|found| of_trace(&found.exemplar.trace_id)));
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_flushes() {
    finishes_and_flushes("TERM");
}

#[test]
fn sigint_does_the_same() {
    finishes_and_flushes("INT");
}

#[test]
fn what_takes_too_long_is_cut_and_counted() {
    let server = Server::start(&[("PHASELAB_SHUTDOWN_TIMEOUT", "200ms")]);
    let mut slow = send(server.address, head("GET", "/api/work?db_ms=60000", &[]).as_bytes());
    server.wait_until_busy();
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(log.wait_for("connections were cut")["fields"]["connections"], 1);
    // It would have had its answer by itself after 60 s.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut slow, &mut rest);
    assert!(rest.is_empty());
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut server = Server::start(&[("PHASELAB_SHUTDOWN_TIMEOUT", "100s")]);
        let _slow = send(server.address, head("GET", "/api/work?db_ms=60000", &[]).as_bytes());
        server.wait_until_busy();
        server.signal("TERM");
        server.log.wait_for("stopping; a second signal ends at once");
        // Signals that come within a moment count as one, so this one comes again until it counts.
        while !server.has_ended() {
            server.signal(signal);
            std::thread::sleep(Duration::from_millis(20));
        }
        let (status, _) = server.wait();
        assert_eq!(status.code(), Some(code));
    }
}

#[test]
fn a_collector_that_does_not_answer_delays_the_end_by_the_limit_only() {
    // Accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let server = Server::start(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "100000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "100000"),
        ("PHASELAB_SHUTDOWN_TIMEOUT", "300ms"),
    ]);
    server.get("/api/work");
    let started = Instant::now();
    server.signal("TERM");
    let (status, log) = server.wait();
    // Not by that of the export.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!(status.code(), Some(0));
    assert_eq!(log.wait_for("the last telemetry may be lost")["fields"]["signal"], "traces");
}
