//! Catches exemplars taken where the span cannot be marked, or belongs to a trace that others decide.

use opentelemetry::trace::{
    Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use otel_exemplars::{Exemplars, RemoteParents};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use super::rig::{Plan, Rig};

fn remote(trace: u128) -> Context {
    let ids = SpanContext::new(TraceId::from(trace), SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::default());
    Context::new().with_remote_span_context(ids)
}

#[test]
fn a_record_outside_of_a_span_offers_nothing() {
    let rig = Rig::new();
    rig.meter.f64_histogram("h").build().record(3.0, &[]);
    assert_eq!(rig.stats().offered, 0);
}

#[test]
fn a_record_after_the_span_ended_ships_nothing() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    let context = Context::current_with_span(rig.tracer().start("request"));
    context.span().end();
    let _current = context.attach();
    histogram.record(3.0);
    rig.flush();
    assert_eq!((rig.stats().picked, rig.dropped("not_recording")), (0, 1));
}

#[test]
fn a_remote_context_without_a_span_of_ours_ships_nothing() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    let _current = remote(1).attach();
    histogram.record(3.0);
    assert_eq!(rig.dropped("not_recording"), 1);
}

#[test]
fn traces_that_began_elsewhere_are_skipped_or_taken_as_told() {
    for (remote_parents, picked) in [(RemoteParents::Skip, 0), (RemoteParents::Take, 1)] {
        let settings = Exemplars::builder().with_remote_parents(remote_parents);
        let rig = Rig::with(Plan { settings, ..Plan::default() });
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        let root = rig.tracer().start_with_context("request", &remote(1));
        let root = Context::current_with_span(root);
        let child = rig.tracer().start_with_context("phase", &root);
        {
            let _current = root.with_span(child).attach();
            histogram.record(3.0);
        }
        drop(root);
        rig.flush();
        assert_eq!((rig.stats().picked, rig.dropped("remote_parent")), (picked, 1 - picked), "{remote_parents:?}");
        rig.in_span("local", || histogram.record(3.0));
        assert_eq!(rig.stats().picked, picked + 1, "a trace of our own is taken either way");
    }
}

#[test]
fn values_that_are_not_finite_are_counted_only() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    rig.in_span("request", || [f64::NAN, f64::INFINITY].into_iter().for_each(|v| histogram.record(v)));
    assert_eq!(rig.stats().offered, 0);
}

/// A subscriber that exports `tracing` spans through the rig; spans of the target `hidden` are filtered out.
fn subscriber(rig: &Rig) -> impl tracing::Subscriber + Send + Sync + use<> {
    let filter = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != "hidden");
    let layer = tracing_opentelemetry::layer().with_tracer(rig.tracers.tracer("tracing"));
    tracing_subscriber::registry().with(tracing_subscriber::Layer::with_filter(layer, filter))
}

#[test]
fn with_tracing_the_entered_span_is_marked_also_across_awaits() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0, 5.0]).build().bind(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tracing::subscriber::with_default(subscriber(&rig), || {
        tracing::info_span!("entered").in_scope(|| histogram.record(0.5));
        runtime.block_on(
            async {
                tokio::task::yield_now().await;
                histogram.record(3.0);
                tokio::task::yield_now().await;
            }
            .instrument(tracing::info_span!("instrumented")),
        );
        let outer = tracing::info_span!("outer");
        outer.in_scope(|| tracing::info_span!(target: "hidden", "inner").in_scope(|| histogram.record(9.0)));
    });
    rig.flush();
    let received = rig.receiver.received();
    let name_of = |id: &[u8]| received.spans().iter().find(|s| s.span.span_id == id).unwrap().span.name.clone();
    let names: Vec<_> = rig.exemplars_of("h").iter().map(|e| name_of(&e.exemplar.span_id)).collect();
    assert_eq!(names, ["entered", "instrumented", "outer"], "a filtered span leaves its parent current");
}

#[test]
fn with_tracing_a_record_after_exit_offers_nothing_unless_in_scope() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    tracing::subscriber::with_default(subscriber(&rig), || {
        let span = tracing::info_span!("request");
        span.in_scope(|| ());
        histogram.record(3.0);
        assert_eq!(rig.stats().offered, 0);
        span.in_scope(|| histogram.record(3.0));
    });
    rig.flush();
    assert_eq!(rig.stats().shipped, 1);
}

#[test]
fn an_unsampled_span_offers_nothing() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    let off = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff)
        .build();
    let mut span = off.tracer("off").start("request");
    span.set_attribute(KeyValue::new("k", "v"));
    let _current = Context::current_with_span(span).attach();
    histogram.record(3.0);
    assert_eq!(rig.stats().offered, 0);
}
