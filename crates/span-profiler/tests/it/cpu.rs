//! Captures and the recorder: what they count, whom they label, and that only one profiler runs.

use std::time::Duration;

use span_profiler::{CaptureError, Filter, Profiler, SpanLabels, StartError};
use tracing::{Dispatch, dispatcher, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::rig::{alone, burn, cpu_of, label, process_cpu};

fn start(recorder_hz: u32) -> (Profiler, span_profiler::ProfilerGuard) {
    Profiler::builder().with_recorder_hz(recorder_hz).start().unwrap()
}

fn labelled<T>(run: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&Dispatch::new(registry().with(SpanLabels::new())), run)
}

/// Loose: the accuracy test of the end-to-end run measures.
fn near(part: i64, whole: Duration, share: f64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let got = part as f64 / whole.as_nanos() as f64;
    assert!((got - share).abs() < 0.1, "{got} is not near {share}");
}

#[test]
fn a_capture_counts_cpu_time_by_span() {
    let _alone = alone();
    let (profiler, _guard) = start(0);
    let before = process_cpu();
    let capture = profiler.capture(997).unwrap();
    labelled(|| {
        info_span!("one").in_scope(|| burn(Duration::from_millis(200)));
        info_span!("three").in_scope(|| burn(Duration::from_millis(600)));
    });
    let profile = capture.finish();
    let spent = process_cpu() - before;
    let of = |name| cpu_of(&profile, |sample| label(sample, "span_name") == Some(name));
    near(of("one"), spent, 0.25);
    near(of("three"), spent, 0.75);
    near(cpu_of(&profile, |_| true), spent, 1.0);
    assert!(profile.duration >= Duration::from_millis(800));
    assert_eq!(profiler.stats().lost, 0);
}

#[test]
fn the_recorder_has_it_without_a_capture() {
    let _alone = alone();
    let (profiler, _guard) = start(499);
    labelled(|| info_span!("recorded later").in_scope(|| burn(Duration::from_millis(300))));
    let filter = |name: &str| Filter { span_name: Some(name.to_owned()), ..Filter::default() };
    let profile = profiler.recorded(&filter("recorded later"));
    near(cpu_of(&profile, |_| true), Duration::from_millis(300), 1.0);
    assert!(profiler.recorded(&filter("never was")).samples.is_empty());
    let spans = profiler.spans(None);
    assert!(spans.iter().any(|span| &*span.name == "recorded later" && span.samples > 50), "{spans:?}");
    let state = profiler.recorder().unwrap();
    assert!(state.bytes > 0 && state.bytes <= state.bytes_limit);
}

#[test]
fn one_capture_at_a_time_and_a_dropped_one_makes_room() {
    let _alone = alone();
    let (profiler, _guard) = start(0);
    let first = profiler.capture(99).unwrap();
    assert_eq!(profiler.capture(99).unwrap_err(), CaptureError::Busy);
    drop(first);
    drop(profiler.capture(99).unwrap());
    assert_eq!(profiler.capture(0).unwrap_err(), CaptureError::Rate(0));
    assert_eq!(profiler.capture(1000).unwrap_err(), CaptureError::Rate(1000));
}

#[test]
fn a_second_start_is_refused_until_the_first_has_stopped() {
    let _alone = alone();
    let (profiler, guard) = start(99);
    assert!(matches!(Profiler::builder().start(), Err(StartError::AlreadyRunning)));
    drop(guard);
    assert_eq!(profiler.capture(99).unwrap_err(), CaptureError::Stopped);
    let (_, _guard) = start(99);
}

#[test]
fn without_recorder_and_capture_no_signals_come() {
    let _alone = alone();
    let (profiler, _guard) = start(0);
    let before = profiler.stats().samples;
    burn(Duration::from_millis(100));
    assert!(profiler.recorder().is_none());
    drop(profiler.capture(99).unwrap());
    burn(Duration::from_millis(100));
    assert_eq!(profiler.stats().samples, before);
}

#[test]
fn senseless_settings_are_refused_with_value_and_rule() {
    let _alone = alone();
    let refusals = [
        (Profiler::builder().with_recorder_hz(1000), "the recorder's rate is 1000 Hz, which is not from 0 to 999 Hz"),
        (
            Profiler::builder().with_recorder_window(Duration::from_secs(9)),
            "the recorder's window is 9s, which is not 10 s or more",
        ),
        (
            Profiler::builder().with_recorder_bytes(1000),
            "the recorder's memory is 1000 bytes, which is not 1048576 bytes or more",
        ),
    ];
    for (builder, message) in refusals {
        assert_eq!(builder.start().unwrap_err().to_string(), message);
    }
}
