//! What would break the promise is seen: each control breaks it in one place, and `phaselab verify` has to
//! say so.
//!
//! Three more controls sit on the exporter's side and are scripted with the OTLP receiver for tests, in
//! `crates/otel-exemplars/tests/it/promise.rs`: an export that fails (`a_failed_span_export_ships_nothing`), a
//! receiver that rejects a part (`a_partial_success_ships_nothing`), and one that answers after the decision
//! (`an_answer_after_the_decision_ships_nothing`). Each counts what it dropped by reason.

use serde_json::Value;

use super::lab::{Lab, Options};
use super::service::QUICK;

/// Fast for the collector, which keeps slow traces from 5 s on, and spread over several buckets.
const MIX: &[&str] = &["--mix", "fast=9,slow=1"];

#[test]
fn verify_sees_that_the_promise_is_broken() {
    let controls = [without_policy, with_the_mark_stripped, with_no_room_for_the_mark];
    std::thread::scope(|scope| {
        let runs = controls.map(|control| scope.spawn(control));
        // The thread has said why it failed.
        assert!(runs.into_iter().map(std::thread::ScopedJoinHandle::join).all(|run| run.is_ok()));
    });
}

/// A stack under load until everything is exported, and what `verify` says about it.
fn broken(overlays: &'static [&'static str], env: &'static [(&'static str, &'static str)]) -> (Lab, i32, Value) {
    let lab = Lab::start(Options { overlays, env, serve: true, ..Options::default() });
    let load = lab.load(40, "12s", MIX);
    assert_eq!(load["failed"], 0, "{load:#}");
    lab.wait_exported(load["requests"].as_u64().unwrap());
    let (code, report) = lab.phaselab(&["verify", "--margin", "5s"]);
    println!("  {overlays:?}: {} exemplars, {} dangle, exit code {code}", report["exemplars"], report["dangling"]);
    (lab, code, report)
}

/// All traces were fast and without error: only the baseline's share of them may resolve by chance.
fn most_dangle(code: i32, report: &Value) {
    assert_eq!(code, 1, "{report:#}");
    let (all, dangling) = (report["exemplars"].as_u64().unwrap(), report["dangling"].as_u64().unwrap());
    assert!(all >= 10 && dangling * 10 >= all * 8, "{report:#}");
}

fn without_policy() {
    let (_lab, code, report) = broken(&["otel-collector/tests/no-keep-policy.yaml"], &QUICK);
    most_dangle(code, &report);
}

fn with_the_mark_stripped() {
    let (_lab, code, report) = broken(&["otel-collector/tests/strip-mark.yaml"], &QUICK);
    most_dangle(code, &report);
}

/// The mark never gets onto a span. Nobody may ship an exemplar then, and the loss is counted.
fn with_no_room_for_the_mark() {
    const ENV: [(&str, &str); 5] = [QUICK[0], QUICK[1], QUICK[2], QUICK[3], ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0")];
    let (lab, code, report) = broken(&[], &ENV);
    assert_eq!((code, &report["exemplars"]), (2, &Value::from(0)), "{report:#}");
    assert!(lab.exemplars(lab.stack.config().ports.prometheus).is_empty());
    assert!(!lab.metrics_page("application/openmetrics-text").contains("# {trace_id"));
    assert!(lab.metric("exemplars_dropped_total", "reason=\"mark_lost\"") > 0.0);
    assert!(lab.metric("exemplars_shipped_total", "").abs() < 0.5);
}
