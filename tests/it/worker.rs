//! `phaselab worker`, both kinds. Catches: results that differ, metrics without their kind, a bad worker that does not show or
//! an optimized one that leaks, profiles that do not name the mistake, accepted tasks that are lost at the end.

mod profiles;
mod slopes;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use otlp_testkit::Receiver;
use otlp_testkit::attribute;
use otlp_testkit::proto::common::v1::any_value::Value;
use serde_json::Value as Json;

use crate::client::PATIENCE;
use crate::server::{Server, run};

const KINDS: [&str; 2] = ["bad", "optimized"];

/// The metrics of a worker, as OpenTelemetry spells them.
const METRICS: [&str; 8] = [
    "worker.active.tasks",
    "worker.allocated.memory",
    "worker.allocations",
    "worker.allocator.purges",
    "worker.tasks.processed",
    "worker.tasks.in_queue",
    "worker.task.processing.duration",
    "worker.task.errors",
];

/// A worker with its arguments, and the variables of [`Server::start`].
fn start(kind: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
    Server::start_as(&[&["worker", "--kind", kind], arguments].concat(), variables)
}

fn value(series: &str) -> f64 {
    series.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The sum of a metric's series.
fn sum(server: &Server, name: &str) -> f64 {
    server.series(&[name, "worker_type"]).iter().filter(|line| line.starts_with(name)).map(|line| value(line)).sum()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < 4 * PATIENCE, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn both_do_the_same_and_end_with_their_tasks() {
    let results = KINDS.map(|kind| {
        let server = start(kind, &["--tasks", "120", "--workers", "4", "--duration", "1s"], &[]);
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{kind}");
        log.wait_for("the tasks are done")["fields"].clone()
    });
    let [bad, optimized] = &results;
    assert_eq!(bad, optimized);
    let count = |name: &str| bad[name].as_u64().unwrap();
    assert_eq!(["accepted", "processed", "failed", "abandoned"].map(count), [120, 120, 2, 0]);
    assert_eq!(bad["checksum"].as_str().unwrap().len(), 16);
}

#[test]
fn every_metric_says_which_worker_it_is_of_and_each_task_is_a_trace() {
    for kind in KINDS {
        let receiver = Receiver::start().unwrap();
        let endpoint = receiver.http_endpoint();
        let exporting = [
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ];
        // The fiftieth is malformed.
        let server = start(kind, &["--tasks", "60", "--workers", "4", "--duration", "1s"], &exporting);
        let (status, _) = server.wait();
        assert_eq!(status.code(), Some(0), "{kind}");
        let received = receiver.received();
        let page = |name: &str| format!("{:?}", received.metrics_named(name));
        for name in METRICS {
            let page = page(name);
            assert!(page.contains("worker_type") && page.contains(kind), "{name}: {page}");
        }
        for operation in ["normalize", "count", "sort"] {
            assert!(page("worker.tasks.processed").contains(operation), "{operation}");
            assert!(page("worker.task.processing.duration").contains(operation), "{operation}");
        }
        assert!(page("worker.task.errors").contains("malformed_input"));
        assert_eq!(received.metrics_named("worker.task.processing.duration")[0].unit, "s");
        let spans = received.spans();
        let resource = spans[0].resource.clone().unwrap().attributes;
        let name = attribute(&resource, "service.name");
        assert_eq!(name, Some(&Value::StringValue("phaselab-worker".to_owned())));
        let traces: BTreeSet<_> = spans.iter().map(|found| found.span.trace_id.clone()).collect();
        assert_eq!((spans.len(), traces.len()), (4 * 60, 60), "{kind}");
        // What is shown of a bucket leads to a task.
        let exemplars = received.exemplars_of("worker.task.processing.duration");
        assert!(!exemplars.is_empty());
        for exemplar in exemplars {
            let span = &spans.iter().find(|found| found.span.span_id == exemplar.exemplar.span_id).unwrap().span;
            assert_eq!(span.name, "worker_task");
            assert_eq!(attribute(&span.attributes, "exemplar"), Some(&Value::BoolValue(true)));
        }
    }
}

#[test]
fn a_signal_ends_the_source_and_what_was_accepted_is_done() {
    for kind in KINDS {
        let server = start(kind, &["--tasks", "100000", "--workers", "2", "--duration", "100s"], &[]);
        wait_until("tasks wait", || sum(&server, "worker_tasks_processed_total") > 5.0);
        let log = server.stop();
        let done: Json = log.wait_for("the tasks are done")["fields"].clone();
        assert!(done["accepted"].as_u64() < Some(100_000), "{done}");
        let count = |name: &str| done[name].as_u64().unwrap();
        assert_eq!(count("processed") + count("abandoned"), count("accepted"), "{done}");
        assert_eq!(log.count("telemetry has stopped"), 1);
    }
}

#[test]
fn it_serves_its_metrics_and_its_health_and_says_so() {
    let server = start("optimized", &[], &[]);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let problem = server.get("/api/work").problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("/metrics"), "{problem}");
    assert_eq!(server.request("POST", "/metrics", &[]).status, 405);
    let listening = server.log.wait_for("listening")["fields"].clone();
    assert_eq!((&listening["tasks"], &listening["workers"]), (&100_000.into(), &50.into()), "{listening}");
}

#[test]
fn bad_arguments_are_refused_all_at_once_with_the_fix() {
    let bad = ["--tasks", "0", "--workers", "1025", "--duration", "721h", "--listen", "8081"];
    let finished = run(&[&["worker", "--kind", "bad"], &bad[..]].concat(), &[]);
    assert_eq!(finished.status.code(), Some(64), "{finished:?}");
    for fault in
        ["--tasks=\"0\" is no", "--workers=\"1025\" is no", "--duration=\"721h\" is no", "--listen=\"8081\" is no"]
    {
        assert!(finished.stderr.contains(fault), "{fault}: {finished:?}");
    }
    assert_eq!(finished.stderr.matches("write for example").count(), 4, "{finished:?}");
    for (arguments, said) in [(&["worker"][..], "--kind"), (&["worker", "--kind", "good"], "bad, optimized")] {
        let finished = run(arguments, &[]);
        assert_eq!(finished.status.code(), Some(64), "{finished:?}");
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    let finished = run(&["worker", "--kind", "bad", "--listen", &address.to_string()], &[]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&format!("cannot listen on {address}: set PHASELAB_LISTEN")), "{finished:?}");
}
