//! Catches: markup that comes out of a span, pages that grow with a trace, bars outside of their chart.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status as SdkStatus, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::*;
use crate::console::store::{Exemplar, SeriesName, Store};

const HOSTILE: &str = "<script>alert(1)</script>\"'&<!--\u{0}\u{202e}";

fn sdk_span(id: u64, name: String, attributes: Vec<KeyValue>) -> SpanData {
    let start = SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_000 + id);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(1),
            SpanId::from(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: if id == 1 { SpanId::INVALID } else { SpanId::from(1) },
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: start,
        end_time: start + Duration::from_micros(10),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: SdkStatus::error(HOSTILE),
        instrumentation_scope: InstrumentationScope::default(),
    }
}

/// The spans of one trace as a page, and how many there are in its view; an exemplar names the last one.
fn shown(spans: impl Iterator<Item = SpanData>) -> (String, usize) {
    let store = Store::new(64 << 20);
    let (mut record, mut last) = (Vec::new(), 0);
    for span in spans {
        record.clear();
        store.write(&mut record, &span);
        last = u64::from_be_bytes(span.span_context.span_id().to_bytes());
        store.file([], [(1, &record[..])]);
    }
    let series = SeriesName { metric: HOSTILE.to_owned(), attributes: vec![("k".to_owned(), HOSTILE.to_owned())] };
    let exemplar = Exemplar { series: series.into(), value: 0.5, unix_ns: 0, trace_id: 1, span_id: last };
    store.file([exemplar], []);
    let view = View::new(store.trace(1).unwrap(), &std::collections::HashMap::new(), &store).unwrap();
    (waterfall(&view).into_string(), view.spans.len())
}

#[test]
fn what_a_span_says_is_text() {
    let attributes = vec![
        KeyValue::new(HOSTILE, HOSTILE),
        KeyValue::new("exemplar", true),
        KeyValue::new("huge", HOSTILE.repeat(30_000)),
    ];
    let (page, _) = shown([sdk_span(1, HOSTILE.to_owned(), attributes)].into_iter());
    assert!(!page.contains("<script") && !page.contains("<!--") && page.contains("&lt;script&gt;"), "{page}");
    // A quote ends no attribute of ours.
    let inside = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert!(inside.into_iter().all(|address| address.starts_with('/') && !address.contains(['<', '\''])), "{page}");
    assert!(page.len() < 50_000, "a long text is cut: {}", page.len());
    assert_eq!(page.matches("An exemplar names this span").count(), 1);
}

#[test]
fn a_page_does_not_grow_with_its_trace() {
    let small = |id| sdk_span(id, "item".to_owned(), Vec::new());
    let marked = |id| sdk_span(id, "named".to_owned(), vec![KeyValue::new("exemplar", true)]);
    let (page, spans) = shown((1..10_000).map(small).chain([marked(10_000)]));
    assert_eq!((spans, page.matches("<li id=").count()), (10_000, MAX_ROWS + 1));
    assert!(page.contains("id=\"span-0000000000002710\""), "the last span has an exemplar: it is shown");
    assert!(page.len() < 3 << 20, "{}", page.len());

    let large = |id| {
        sdk_span(id, "item".to_owned(), (0..10).map(|n| KeyValue::new(format!("{n}"), "<".repeat(1_000))).collect())
    };
    let (page, _) = shown((1..=300).map(large));
    assert_eq!(page.matches("<li id=").count(), 300);
    assert!(page.contains("The page is full") && page.len() < 3 << 20, "{}", page.len());
}

#[test]
fn a_bar_has_no_more_parts_than_can_be_seen() {
    let parts: Vec<_> = (0..10_000).map(|at| (100 * at, 100 * at + 50)).collect();
    assert_eq!(seen(&parts, 1_000.0 / 1e6).len(), 1);
    assert_eq!(seen(&[(0, 10), (500, 501)], 1.0), [(0.0, 10.0), (500.0, 501.0)]);
    assert_eq!(seen(&[(0, 0)], 1.0), [(0.0, 1.0)]);
}
