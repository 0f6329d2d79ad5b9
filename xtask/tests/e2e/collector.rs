//! The collector's promise by itself, without the service: marked traces reach the store at any
//! sampling percentage, and each faulty configuration breaks exactly that.

use std::time::Duration;

use xtask::progress::Progress;
use xtask::stack::Name;

use super::lab::{Lab, Options, PATIENCE, Trace, wait_for};

const MARKED: u64 = 40;
const PLAIN: u64 = 400;

/// Sends marked and plain fast traces, one that failed and one slow one; returns how many of the
/// marked and of the plain ones the store holds once all are decided.
fn keep(overlays: &'static [&'static str]) -> (usize, usize) {
    let env = &[("PHASELAB_SAMPLING_PERCENTAGE", "1"), ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "1s")];
    let lab = Lab::start(Options { overlays, env, ..Options::default() });
    let marked: Vec<_> = (0..MARKED).map(|number| Trace { marked: true, ..Trace::fast(number) }).collect();
    let plain: Vec<_> = (MARKED..MARKED + PLAIN).map(Trace::fast).collect();
    marked.iter().chain(&plain).for_each(|trace| lab.send(trace));
    // Sent last: once these two are stored, everything before them has been decided.
    let failed = Trace { failed: true, ..Trace::fast(10_000) };
    let slow = Trace { duration: Duration::from_secs(6), ..Trace::fast(10_001) };
    [&failed, &slow].into_iter().for_each(|trace| lab.send(trace));
    let holds = |trace: &Trace| lab.holds(&trace.trace_id, &trace.span_id);
    let took = wait_for("failed and slow traces are kept", PATIENCE, || holds(&failed) && holds(&slow));
    let count = |traces: &[Trace]| traces.iter().filter(|trace| holds(trace)).count();
    let kept = (count(&marked), count(&plain));
    println!(
        "  {overlays:?}: {} of {MARKED} marked, {} of {PLAIN} plain ones, {took:?} after the last",
        kept.0, kept.1
    );
    kept
}

#[test]
fn every_marked_trace_is_kept_and_hardly_any_other() {
    let (marked, plain) = keep(&[]);
    assert_eq!(marked as u64, MARKED);
    assert!(plain as u64 <= PLAIN * 3 / 100, "{plain} plain traces were kept at 1 %");
}

#[test]
fn without_the_policy_marked_traces_are_lost() {
    let (marked, _) = keep(&["otel-collector/tests/no-keep-policy.yaml"]);
    assert!(marked as u64 <= MARKED / 10, "{marked} were kept all the same");
}

#[test]
fn with_the_mark_stripped_marked_traces_are_lost() {
    let (marked, _) = keep(&["otel-collector/tests/strip-mark.yaml"]);
    assert!(marked as u64 <= MARKED / 10, "{marked} were kept all the same");
}

#[test]
fn the_debugging_overlay_keeps_the_promise_and_writes_what_is_kept() {
    let (marked, _) = keep(&["otel-collector/debug.yaml"]);
    assert_eq!(marked as u64, MARKED);
}

#[test]
fn more_traces_than_fit_wait_instead_of_pushing_others_out() {
    let env = &[
        ("PHASELAB_SAMPLING_PERCENTAGE", "1"),
        ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "1s"),
        ("PHASELAB_NUM_TRACES", "20"),
    ];
    let lab = Lab::start(Options { env, ..Options::default() });
    let marked: Vec<_> = (0..100).map(|number| Trace { marked: true, ..Trace::fast(number) }).collect();
    marked.iter().for_each(|trace| lab.send(trace));
    wait_for("all 100 are kept although 20 fit", PATIENCE, || {
        marked.iter().all(|trace| lab.holds(&trace.trace_id, &trace.span_id))
    });
}

#[test]
fn what_was_decided_survives_an_absent_store_and_a_killed_collector() {
    let env = &[("PHASELAB_SAMPLING_PERCENTAGE", "1"), ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "1s")];
    let mut lab = Lab::start(Options { env, ..Options::default() });
    let store = Name::from(lab.stack.config().store().unwrap());
    lab.stack.stop_one(store, false).unwrap();
    let marked: Vec<_> = (0..MARKED).map(|number| Trace { marked: true, ..Trace::fast(number) }).collect();
    marked.iter().for_each(|trace| lab.send(trace));
    let metrics = format!("http://127.0.0.1:{}/metrics", lab.stack.config().ports.collector_metrics);
    wait_for("all are decided", PATIENCE, || {
        let (_, text) = xtask::http::get(&metrics, Duration::from_secs(5)).unwrap();
        text.lines().any(|line| {
            line.starts_with("otelcol_processor_tail_sampling_global_count_traces_sampled")
                && line.contains(r#"sampled="true""#)
                && line.ends_with(&format!(" {MARKED}"))
        })
    });
    lab.stack.stop_one(Name::Collector, false).unwrap();
    let progress = &mut Progress::silent();
    lab.stack.start_one(store, progress).unwrap();
    lab.stack.start_one(Name::Collector, progress).unwrap();
    let took = wait_for("all arrive from the queue on disk", PATIENCE, || {
        marked.iter().all(|trace| lab.holds(&trace.trace_id, &trace.span_id))
    });
    println!("  {MARKED} traces arrived {took:?} after both were back");
}
