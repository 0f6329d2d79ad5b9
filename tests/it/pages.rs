//! What is served besides the work. Catches: pages that forget a route, readiness that does not say what is missing or
//! never comes back, a scrape in the wrong format.

use crate::client::PATIENCE;
use crate::server::Server;

#[test]
fn the_index_links_to_what_is_served() {
    let server = Server::start(&[]);
    server.wait_until_ready();
    let html = server.get("/");
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    let json = server.request("GET", "/", &[("Accept", "application/json")]).json();
    for route in json["routes"].as_array().unwrap() {
        let example = route["example"].as_str().unwrap();
        assert!(html.body.contains(&example.replace('&', "&amp;")), "{example}");
        // A link is no handshake.
        let status = if example == "/ws" { 426 } else { 200 };
        assert_eq!(server.get(example).status, status, "{example}");
    }
}

#[test]
fn readiness_names_the_missing_database_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (blocked, file) = (folder.path().join("data"), folder.path().join("data/lab.db"));
    std::fs::write(&blocked, "a file where a folder should be").unwrap();
    let server = Server::start(&[("PHASELAB_DATABASE", file.to_str().unwrap())]);
    assert_eq!(server.get("/healthz").status, 200);
    let answer = server.get("/readyz");
    let problem = answer.problem(503, "not_ready");
    assert_eq!(problem["missing"], serde_json::json!(["database"]));
    assert_eq!(answer.header("retry-after"), Some("1"));
    server.get("/api/work").problem(503, "database_unavailable");
    server.log.wait_for("the database is not ready; each request and /readyz tries again");

    std::fs::remove_file(&blocked).unwrap();
    server.wait_until_ready();
    assert_eq!(server.get("/readyz").json()["status"], "ready");
    assert_eq!(server.get("/api/work").status, 200);
}

#[test]
fn readiness_tells_about_the_export_without_depending_on_it() {
    let unreachable = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
    ];
    let server = Server::start(&unreachable);
    server.wait_until_ready();
    assert_eq!(server.get("/readyz").json()["export"], serde_json::json!({"traces": "untried", "metrics": "off"}));
    server.get("/api/null");
    let started = std::time::Instant::now();
    while server.get("/readyz").json()["export"]["traces"] != "failing" {
        assert!(started.elapsed() < PATIENCE);
    }
    assert_eq!(server.get("/readyz").json()["status"], "ready");
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let server = Server::start(&[]);
    server.get("/api/work");
    let of = |accept: &str| server.request("GET", "/metrics", &[("Accept", accept)]);
    let open = of("application/openmetrics-text; version=1.0.0");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.body.ends_with("# EOF\n"));
    let text = of("text/plain");
    assert!(text.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for name in [
        "http_server_request_duration_seconds_bucket",
        "http_server_active_requests",
        "section_duration_seconds_bucket{",
        "work_loop_iterations_total",
        "db_client_operation_duration_seconds_bucket",
        "process_cpu_time_seconds_total",
        "process_memory_usage_bytes",
        "process_memory_virtual_bytes",
        "process_thread_count",
        "process_unix_file_descriptor_count",
        "process_unix_file_descriptor_limit",
        "process_start_time_seconds",
        "process_uptime_seconds",
        "exemplars_offered_total",
        "target_info",
    ] {
        assert!(open.body.contains(name), "{name} in OpenMetrics");
        assert!(text.body.contains(name), "{name} in text");
    }
}

#[test]
fn a_disabled_sdk_leaves_the_service_working() {
    let server = Server::start(&[("OTEL_SDK_DISABLED", "true")]);
    let answer = server.get("/api/work");
    assert_eq!((answer.status, answer.header("traceresponse")), (200, None));
    assert!(answer.json()["trace_id"].is_null());
    server.get("/metrics").problem(404, "not_found");
    server.wait_until_ready();
    assert_eq!(server.get("/readyz").json()["export"]["traces"], "off");
    server.stop();
}
