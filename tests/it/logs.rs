//! Log lines. Catches: lines without ids, lines that are not JSON (every line of every test is parsed), and an exporter
//! that complains again and again.

use std::net::SocketAddr;

use otlp_testkit::Receiver;

use crate::client::PATIENCE;
use crate::server::Server;

#[test]
fn lines_inside_a_span_carry_its_ids() {
    let server = Server::start(&[("PHASELAB_LOG", "info,phaselab=debug")]);
    let answer = server.get("/api/work?fail=json_encode");
    let (trace, root) = answer.trace();
    let failed = server.log.wait_for("request failed");
    assert_eq!((&failed["trace_id"], &failed["span_id"]), (&trace.clone().into(), &root.clone().into()));
    assert_eq!((&failed["level"], &failed["fields"]["error_type"]), (&"WARN".into(), &"injected_failure".into()));
    let lines = server.stop().lines();
    let phases: Vec<_> = lines.iter().filter(|line| line["message"] == "phase finished").collect();
    let sections: Vec<_> = phases.iter().map(|line| line["fields"]["section"].as_str().unwrap()).collect();
    assert_eq!(sections, ["db_query", "cpu_loop", "json_encode"]);
    // In the span of the phase, not of the request.
    assert!(phases.iter().all(|line| line["trace_id"] == trace && line["span_id"] != root));
    assert!(phases.iter().all(|line| line["fields"]["seconds"].is_f64()));
    let outside = lines.iter().find(|line| line["message"] == "listening").unwrap();
    assert!(outside.get("trace_id").is_none());
}

#[test]
fn a_quiet_log_hides_no_span() {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let variables = [
        ("PHASELAB_LOG", "off,phaselab::cli=info"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
    ];
    let server = Server::start(&variables);
    server.get("/api/work?fail=json_encode");
    let log = server.stop();
    assert_eq!(log.count("request failed"), 0);
    assert_eq!(receiver.received().spans().len(), 4);
}

#[test]
fn a_missing_collector_is_reported_once_and_its_return_too() {
    // Bound and not listening yet: it refuses connections, and nobody else can take the port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let endpoint = format!("http://{address}");
    let variables = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ];
    let server = Server::start(&variables);
    let cannot =
        "cannot export telemetry: requests are served all the same, spans and exemplars are dropped until it works";
    assert_eq!(server.get("/api/work").status, 200);
    server.log.wait_for(cannot);
    let started = std::time::Instant::now();
    let export = |server: &Server| server.get("/readyz").json()["export"].clone();
    while export(&server) != serde_json::json!({"traces": "failing", "metrics": "failing"}) {
        assert!(started.elapsed() < PATIENCE);
        server.get("/api/null");
    }

    socket.listen(128).unwrap();
    let receiver = Receiver::serve(socket.into()).unwrap();
    while export(&server) != serde_json::json!({"traces": "working", "metrics": "working"}) {
        assert!(started.elapsed() < PATIENCE);
        server.get("/api/null");
    }
    let log = server.stop();
    assert_eq!((log.count(cannot), log.count("telemetry is exported again")), (1, 1), "{:#?}", log.lines());
    let from_sdk = |line: &&serde_json::Value| line["target"].as_str().unwrap().starts_with("opentelemetry");
    assert_eq!(log.lines().iter().filter(from_sdk).count(), 0, "{:#?}", log.lines());
    assert!(!receiver.received().spans().is_empty());
}
