//! Catches: spans that get lost on their way, a request that waits for the console, a thread that does not end.

use std::time::SystemTime;

use opentelemetry::trace::{SpanBuilder, SpanId, TraceContextExt as _, TraceId, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use otel_exemplars::PickedExemplar;

use super::*;
use crate::telemetry::tap::Tapped;

/// A provider whose spans nobody exports.
fn provider(feed: &Arc<Feed>, sampler: Sampler) -> SdkTracerProvider {
    let tap: Arc<dyn Tap> = Arc::<Feed>::clone(feed);
    let tapped = Tapped::<opentelemetry_sdk::trace::BatchSpanProcessor>::new(Some(tap), None);
    SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(tapped).build()
}

fn feed() -> Arc<Feed> {
    Arc::new(Feed::new(Arc::new(Store::new(8 << 20))))
}

fn span(provider: &SdkTracerProvider, attributes: Vec<KeyValue>) -> u128 {
    let builder = SpanBuilder::from_name("work").with_attributes(attributes);
    let span = provider.tracer("test").build(builder);
    let context = Context::new().with_span(span);
    u128::from_be_bytes(context.span().span_context().trace_id().to_bytes())
}

#[test]
fn what_ended_and_was_picked_is_filed_by_a_thread_that_can_be_stopped() {
    let feed = feed();
    let history = History::new(1 << 20);
    let trace_id = std::thread::scope(|scope| {
        let running = scope.spawn(|| feed.run(&history, None));
        let provider = provider(&feed, Sampler::AlwaysOn);
        let trace_id = span(&provider, vec![KeyValue::new("exemplar", true)]);
        let started = Instant::now();
        while feed.store.trace(trace_id).is_none() && started.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        feed.stop();
        running.join().unwrap();
        trace_id
    });
    let trace = feed.store.trace(trace_id).unwrap();
    let picked = PickedExemplar {
        metric: "m",
        attributes: &[],
        value: 1.0,
        time: SystemTime::now(),
        trace_id: TraceId::from(trace_id),
        span_id: SpanId::from(trace.spans[0].span_id),
    };
    feed.picked(&picked);
    feed.file(&mut Vec::new());
    assert_eq!(feed.store.trace(trace_id).unwrap().exemplars.len(), 1);
}

#[test]
fn a_trace_that_is_not_sampled_is_not_here() {
    let feed = feed();
    let trace_id = span(&provider(&feed, Sampler::AlwaysOff), Vec::new());
    feed.file(&mut Vec::new());
    assert_eq!(feed.store.trace(trace_id), None);
}

#[test]
fn without_anybody_who_files_spans_are_dropped_and_counted() {
    let feed = feed();
    let provider = provider(&feed, Sampler::AlwaysOn);
    let mut spans = 0;
    while feed.dropped() < 3 {
        span(&provider, vec![KeyValue::new("text", "x".repeat(2_000)); 10]);
        spans += 1;
    }
    assert!(feed.waiting().records.len() <= MAX_WAITING_BYTES);
    let mut records = Vec::new();
    feed.file(&mut records);
    assert_eq!(feed.store.counts().traces as u64 + feed.store.counts().traces_gone, spans - 3);
    feed.file(&mut records);
    assert!(records.is_empty() && records.capacity() <= 2 * KEPT_BYTES, "the memory is given back");
}
