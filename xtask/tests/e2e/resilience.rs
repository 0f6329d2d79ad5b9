//! What happens when the collector goes away and when the service is stopped, both under load.

use std::collections::BTreeSet;
use std::fs;

use xtask::config::Protocol;
use xtask::progress::Progress;
use xtask::stack::Name;

use super::lab::{Lab, Options, PATIENCE, wait_for};
use super::service::{Answer, FAST, QUICK, Traffic};

const FAILS: &str = "cannot export telemetry";
const WORKS: &str = "telemetry is exported again";

/// How often the service has logged `text`.
fn logged(lab: &Lab, text: &str) -> usize {
    let log = fs::read_to_string(lab.stack.config().log(Name::Phaselab)).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}

/// All exemplars that Prometheus holds resolve; how many.
fn all_resolve(lab: &Lab) -> u64 {
    let (code, report) = lab.phaselab(&["verify"]);
    assert_eq!(code, 0, "{report:#}");
    report["exemplars"].as_u64().unwrap()
}

#[test]
fn an_outage_of_the_collector_is_survived_and_said_once_over_both_protocols() {
    std::thread::scope(|scope| {
        let runs = [Protocol::Grpc, Protocol::Http].map(|protocol| scope.spawn(move || outage(protocol)));
        // The thread has said why it failed.
        assert!(runs.into_iter().map(std::thread::ScopedJoinHandle::join).all(|run| run.is_ok()));
    });
}

fn outage(protocol: Protocol) {
    let mut lab = Lab::start(Options { env: &QUICK, serve: true, protocol: Some(protocol), ..Options::default() });
    let traffic = Traffic::start(&lab, FAST, 30);
    let port = lab.stack.config().ports.prometheus;
    wait_for("exemplars arrive", PATIENCE, || !lab.exemplars(port).is_empty());
    let before = traffic.stop();
    // Traces that were acknowledged and not decided go down with the collector: that limit is stated. So all are
    // decided before it is killed.
    lab.wait_exported(before.len() as u64);
    all_resolve(&lab);
    lab.stack.stop_one(Name::Collector, false).unwrap();

    let traffic = Traffic::start(&lab, FAST, 30);
    wait_for("the service notices", PATIENCE, || logged(&lab, FAILS) > 0);
    lab.stack.start_one(Name::Collector, &mut Progress::silent()).unwrap();
    wait_for("the service notices that it is back", PATIENCE, || logged(&lab, WORKS) > 0);
    let seen = lab.exemplars(port).len();
    wait_for("new exemplars arrive", PATIENCE, || lab.exemplars(port).len() > seen);
    let after = traffic.stop();

    let answered = |answers: &[Answer]| answers.iter().all(|answer| answer.status == 200);
    assert!(answered(&before) && answered(&after), "a request failed");
    // The counts are cumulative: what was not exported during the outage is so now.
    lab.wait_exported((before.len() + after.len()) as u64);
    let exemplars = all_resolve(&lab);
    assert_eq!((logged(&lab, FAILS), logged(&lab, WORKS)), (1, 1));
    let dropped = lab.metric("exemplars_dropped_total", "reason=\"span_export_failed\"");
    println!(
        "  {}: {} requests through an outage, {exemplars} exemplars resolve, {dropped} were held back",
        protocol.otel_name(),
        before.len() + after.len()
    );
}

#[test]
fn sigterm_under_load_answers_what_runs_and_ships_the_last_exemplars() {
    const RUNNING: usize = 20;
    let mut lab = Lab::start(Options { env: &QUICK, serve: true, ..Options::default() });
    let running: Vec<_> =
        (0..RUNNING).map(|_| Traffic::start(&lab, "/api/work?db_ms=3000&loop_iterations=2000", 1)).collect();
    wait_for("all are in flight, with the question itself", PATIENCE, || {
        lab.metric("http_server_active_requests", "") >= (RUNNING + 1) as f64
    });
    let traffic = Traffic::start(&lab, FAST, 100);
    wait_for("others are answered meanwhile", PATIENCE, || {
        lab.metric("http_server_request_duration_seconds_count", "http_route=\"/api/work\"") >= 10.0
    });
    let stopped = lab.stack.stop_one(Name::Phaselab, true).unwrap().unwrap();
    assert_eq!(stopped.code(), Some(0), "{stopped}");
    // Those that came later find nobody, but none that was taken on is broken off.
    let statuses: BTreeSet<_> = traffic.stop().iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, BTreeSet::from([0, 200]));
    let answers: Vec<_> = running.into_iter().map(|traffic| traffic.stop().swap_remove(0)).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");

    let port = lab.stack.config().ports.prometheus;
    let last = || lab.exemplars(port).into_iter().find(|one| answers.iter().any(|a| a.trace_id == one.trace_id));
    wait_for("an exemplar of the last requests arrives", PATIENCE, || last().is_some());
    println!("  {RUNNING} requests in flight answered, {} exemplars resolve", all_resolve(&lab));
}
