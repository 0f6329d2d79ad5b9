//! Catches an exemplar that leaves although its span, or the mark on it, did not arrive in time.

use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer};
use opentelemetry_sdk::trace::SpanLimits;
use otel_exemplars::{Exemplars, MARK};
use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::{Answer, Signal, attribute};

use super::rig::{BOTH, Plan, Rig, span_id, value};

fn rig(protocol: super::rig::Protocol) -> Rig {
    Rig::with(Plan { protocol, ..Plan::default() })
}

#[test]
fn an_exemplar_leaves_after_its_marked_span() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0, 5.0]).build().bind(&[]);
        let id = rig.in_span("request", || histogram.record(3.0));

        rig.flush_metrics();
        assert!(rig.exemplars_of("h").is_empty(), "{protocol:?}: its span is still here");

        rig.flush();
        let found = rig.exemplars_of("h");
        assert_eq!(found.iter().map(|e| (value(e), span_id(e))).collect::<Vec<_>>(), [(3.0, id)], "{protocol:?}");
        let spans = rig.receiver.received().spans();
        assert_eq!(attribute(&spans[0].span.attributes, MARK), Some(&Value::BoolValue(true)));
        assert_eq!(spans[0].span.trace_id, found[0].exemplar.trace_id);
        assert_eq!(rig.stats().shipped, 1);
    }
}

#[test]
fn two_records_of_one_span_mark_it_once() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0]).build().bind(&[]);
    rig.in_span("request", || [0.5, 2.0].into_iter().for_each(|v| histogram.record(v)));
    rig.flush();
    let span = &rig.receiver.received().spans()[0].span;
    assert_eq!(span.attributes.iter().filter(|a| a.key == MARK).count(), 1);
    assert_eq!(rig.exemplars_of("h").len(), 2);
}

#[test]
fn a_failed_span_export_ships_nothing() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.receiver.script(Signal::Traces, [Answer::invalid()]);
        rig.in_span("request", || histogram.record(3.0));
        rig.flush();
        assert!(rig.exemplars_of("h").is_empty(), "{protocol:?}");
        assert_eq!(rig.dropped("span_export_failed"), 1, "{protocol:?}");
    }
}

#[test]
fn a_partial_success_ships_nothing() {
    for protocol in BOTH {
        for gzip in [false, true] {
            let rig = Rig::with(Plan { protocol, gzip, ..Plan::default() });
            let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
            rig.receiver.script(Signal::Traces, [Answer::partial(1, "one span too many")]);
            rig.in_span("request", || histogram.record(3.0));
            rig.flush();
            assert!(rig.exemplars_of("h").is_empty(), "{protocol:?}, gzip {gzip}");
            assert_eq!(rig.dropped("partial_success"), 1, "{protocol:?}, gzip {gzip}");
        }
    }
}

#[test]
fn a_warning_without_rejected_spans_is_a_success() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.receiver.script(Signal::Traces, [Answer::partial(0, "deprecated field")]);
        rig.in_span("request", || histogram.record(3.0));
        rig.flush();
        assert_eq!(rig.exemplars_of("h").len(), 1, "{protocol:?}");
    }
}

#[test]
fn an_answer_after_the_decision_ships_nothing() {
    let settings =
        Exemplars::builder().with_max_trace_duration(Duration::from_secs(1)).with_decision_wait(Duration::from_secs(4));
    // There are 2 s for an answer.
    for (delay, late) in [(50, 0), (2_500, 1)] {
        let rig = Rig::with(Plan { settings: settings.clone(), ..Plan::default() });
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.receiver.script(Signal::Traces, [Answer::accept().after(Duration::from_millis(delay))]);
        rig.in_span("request", || histogram.record(3.0));
        rig.flush();
        assert_eq!((rig.exemplars_of("h").len() as u64, rig.dropped("late")), (1 - late, late), "after {delay} ms");
    }
}

#[test]
fn a_span_that_waited_in_the_queue_counts_from_its_end() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    let ended = SystemTime::now() - Duration::from_secs(10);
    let span = rig.tracer().build(SpanBuilder::from_name("request"));
    let context = Context::current_with_span(span);
    {
        let _current = context.clone().attach();
        histogram.record(3.0);
    }
    context.span().end_with_timestamp(ended);
    rig.flush();
    assert_eq!(rig.dropped("late"), 1, "the limit is 30 - 20 - 1 seconds");
}

#[test]
fn a_mark_that_the_span_limit_dropped_ships_nothing() {
    let limits = SpanLimits { max_attributes_per_span: 1, ..SpanLimits::default() };
    let rig = Rig::with(Plan { span_limits: limits, ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    rig.in_span("request", || histogram.record(3.0));
    rig.flush();
    assert!(rig.exemplars_of("h").is_empty());
    assert_eq!(rig.dropped("mark_lost"), 1);
}

#[test]
fn a_span_that_never_ends_frees_its_place() {
    // Two seconds more than it has to be, for the export of the one that comes next.
    const DECISION_WAIT: Duration = Duration::from_millis(3_100);
    let settings = Exemplars::builder()
        .with_max_trace_duration(Duration::from_millis(10))
        .with_decision_wait(DECISION_WAIT)
        .with_max_waiting(1);
    let rig = Rig::with(Plan { settings, ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0]).build().bind(&[]);
    let open = Context::current_with_span(rig.tracer().start("open"));
    {
        let _current = open.clone().attach();
        histogram.record(0.5);
        histogram.record(3.0);
    }
    assert_eq!(rig.dropped("waiting_room_full"), 1);
    std::thread::sleep(DECISION_WAIT + Duration::from_millis(100));
    rig.flush_metrics();
    assert_eq!((rig.dropped("never_exported"), rig.stats().waiting), (1, 0));
    rig.in_span("next", || histogram.record(0.5));
    rig.flush();
    assert_eq!(rig.exemplars_of("h").len(), 1);
}

#[test]
fn exemplars_survive_a_failed_metric_export() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.in_span("request", || histogram.record(3.0));
        rig.receiver.script(Signal::Metrics, [Answer::invalid()]);
        rig.flush();
        assert_eq!((rig.stats().shipped, rig.stats().waiting), (0, 1), "{protocol:?}");
        rig.flush_metrics();
        assert_eq!((rig.exemplars_of("h").len(), rig.stats().shipped), (1, 1), "{protocol:?}");
        rig.flush_metrics();
        assert_eq!(rig.exemplars_of("h").len(), 1, "{protocol:?}: and is sent once");
    }
}

#[test]
fn rejected_points_are_counted() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.in_span("request", || histogram.record(3.0));
        rig.receiver.script(Signal::Metrics, [Answer::partial(1, "out of order")]);
        rig.flush();
        assert_eq!((rig.stats().shipped, rig.dropped("points_rejected")), (0, 1), "{protocol:?}");
    }
}

#[test]
fn the_last_exemplars_leave_at_shutdown() {
    for protocol in BOTH {
        let rig = rig(protocol);
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.in_span("request", || histogram.record(3.0));
        rig.tracers.shutdown().unwrap();
        rig.meters.shutdown().unwrap();
        assert_eq!(rig.exemplars_of("h").len(), 1, "{protocol:?}");
        drop(rig.tracer().start("after"));
    }
}

#[test]
fn switched_off_nothing_is_marked() {
    let rig = Rig::with(Plan { settings: Exemplars::builder().with_enabled(false), ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    rig.in_span("request", || histogram.record(3.0));
    rig.flush();
    let received = rig.receiver.received();
    assert_eq!(attribute(&received.spans()[0].span.attributes, MARK), None);
    assert_eq!(received.metrics_named("h").len(), 1);
    assert_eq!((received.exemplars_of("h").len(), rig.stats().offered), (0, 0));
}
