//! Catches: more bytes than allowed, an exemplar without its trace, a marked trace that goes before an unmarked one, spans
//! that are not what they were, a search that finds something else.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event as SdkEvent, Link as SdkLink, SpanContext, SpanId, SpanKind, Status as SdkStatus, TraceFlags, TraceId,
    TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value as SdkValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::*;

const START: u64 = 1_700_000_000 * SECOND;

fn context(trace: u128, span: u64) -> SpanContext {
    SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::SAMPLED, false, TraceState::default())
}

fn sdk_span(trace: u128, id: u64, attributes: Vec<KeyValue>) -> SpanData {
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(START + id);
    SpanData {
        span_context: context(trace, id),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "work".into(),
        start_time: start,
        end_time: start + Duration::from_millis(id),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: SdkStatus::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn marked(trace: u128, id: u64) -> SpanData {
    sdk_span(trace, id, vec![KeyValue::new("exemplar", true)])
}

fn exemplar(trace_id: u128, span_id: u64) -> Exemplar {
    let series = Arc::new(SeriesName { metric: "m".to_owned(), attributes: vec![("a".to_owned(), "1".to_owned())] });
    Exemplar { series, value: 0.5, unix_ns: START, trace_id, span_id }
}

impl Store {
    fn end(&self, span: &SpanData) {
        let mut record = Vec::new();
        self.write(&mut record, span);
        self.file([], [(u128::from_be_bytes(span.span_context.trace_id().to_bytes()), &record[..])]);
    }

    fn pick(&self, exemplar: Exemplar) {
        self.file([exemplar], []);
    }

    fn shown(&self) -> Vec<u128> {
        self.exemplars("m", &[]).iter().map(|one| one.trace_id).collect()
    }
}

#[test]
fn a_span_is_what_it_was_also_with_names_that_are_known_by_then() {
    let store = Store::new(1 << 20);
    let mut events = SpanEvents::default();
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(START + 100);
    events.events.push(SdkEvent::new("oops", at, vec![KeyValue::new("n", -3)], 0));
    let mut links = SpanLinks::default();
    links.links.push(SdkLink::new(context(9, 8), Vec::new(), 0));
    let array = SdkValue::Array(Array::I64(vec![1, 2]));
    let attributes = vec![
        KeyValue::new("route", "/api/work"),
        KeyValue::new("exemplar", true),
        KeyValue::new("ok", false),
        KeyValue::new("n", i64::MIN),
        KeyValue::new("x", 0.1),
        KeyValue::new("list", array),
    ];
    for id in [7, 8] {
        store.end(&SpanData {
            parent_span_id: SpanId::from(3),
            parent_span_is_remote: true,
            span_kind: SpanKind::Server,
            events: events.clone(),
            links: links.clone(),
            status: SdkStatus::error("broken"),
            dropped_attributes_count: 2,
            ..sdk_span(1, id, attributes.clone())
        });
    }
    let text = |text: &str| Value::Text(text.to_owned());
    let expected = |id| Span {
        span_id: id,
        parent_id: Some(3),
        remote_parent: true,
        name: "work".to_owned(),
        kind: Kind::Server,
        start_unix_ns: START + id,
        duration_ns: id * 1_000_000,
        status: Status::Error("broken".to_owned()),
        marked: true,
        attributes: [
            ("route", text("/api/work")),
            ("ok", Value::Bool(false)),
            ("n", Value::Int(i64::MIN)),
            ("x", Value::Float(0.1)),
            ("list", text("[1,2]")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into(),
        events: vec![Event {
            unix_ns: START + 100,
            name: "oops".to_owned(),
            attributes: vec![("n".to_owned(), Value::Int(-3))],
        }],
        links: vec![Link { trace_id: 9, span_id: 8 }],
        left_out: 2,
    };
    assert_eq!(store.trace(1).unwrap().spans, [expected(7), expected(8)]);
    assert_eq!(store.trace(2), None);
    let (first, second) = (store.record_bytes(&marked(2, 1)), store.record_bytes(&marked(2, 1)));
    assert!(second < first && second < 40, "the name is a number the second time: {first}, {second}");
}

impl Store {
    fn record_bytes(&self, span: &SpanData) -> usize {
        let mut record = Vec::new();
        self.write(&mut record, &SpanData { name: "a name of its own".into(), ..span.clone() });
        record.len()
    }
}

#[test]
fn an_exemplar_is_shown_once_its_span_is_here_with_its_mark() {
    let store = Store::new(1 << 20);
    store.pick(exemplar(1, 1));
    assert_eq!(store.shown(), []);
    store.end(&sdk_span(1, 2, Vec::new()));
    assert_eq!(store.shown(), [], "another span");
    store.end(&marked(1, 1));
    assert_eq!(store.shown(), [1]);
    assert_eq!(store.trace(1).unwrap().exemplars, [exemplar(1, 1)]);
    store.end(&sdk_span(2, 1, vec![KeyValue::new("exemplar", "true")]));
    store.pick(exemplar(2, 1));
    assert_eq!(store.shown(), [1], "a mark that was lost or is none");
    store.end(&marked(3, 1));
    store.pick(exemplar(3, 1));
    assert_eq!(store.shown(), [1, 3], "the span came first");
    assert_eq!(store.exemplars("m", &[("a".to_owned(), "2".to_owned())]), []);
    assert_eq!(store.exemplars("other", &[]), []);
}

#[test]
fn unmarked_traces_go_first_and_a_marked_one_with_its_exemplar() {
    let store = Store::new(64 << 10);
    for trace in 1..=20 {
        store.end(&marked(trace, 1));
        store.pick(exemplar(trace, 1));
    }
    // Many times what there is room for.
    for trace in 1_000..3_000 {
        store.end(&sdk_span(trace, 1, Vec::new()));
    }
    let counts = store.counts();
    assert!(counts.traces_gone > 1_500 && counts.bytes <= counts.bytes_limit, "{counts:?}");
    assert!(store.trace(1_000).is_none() && store.trace(2_999).is_some(), "the oldest went");
    assert_eq!(store.shown(), (1..=20).collect::<Vec<_>>());
    for trace in 5_000..6_000 {
        store.pick(exemplar(trace, 1));
        store.end(&marked(trace, 1));
    }
    assert_eq!(store.trace(2_999), None, "no unmarked one is left");
    let shown = store.shown();
    assert!(shown.len() > 20 && shown.len() < 1_000 && shown.last() == Some(&5_999), "{}", shown.len());
    assert!(shown.iter().all(|trace| store.trace(*trace).is_some()), "each has its trace");
    assert_eq!(store.counts().traces, shown.len());
}

#[test]
fn an_exemplar_that_is_old_lets_its_trace_go_as_any_other() {
    let store = Store::new(1 << 20);
    store.end(&marked(1, 1));
    store.pick(exemplar(1, 1));
    store.pick(exemplar(2, 1));
    store.expire(START + WINDOW_S * SECOND);
    assert_eq!(store.shown(), [1]);
    store.end(&marked(2, 1));
    assert_eq!(store.shown(), [1], "its span came too late");
    store.expire(START + WINDOW_S * SECOND + 1);
    assert_eq!(store.shown(), []);
    assert_eq!(store.trace(1).unwrap().exemplars, []);
    assert!(!store.search(&Query { limit: 9, ..Query::default() }).iter().any(|found| found.exemplar));
}

#[test]
fn what_is_too_large_is_cut_and_said_to_be() {
    let store = Store::new(1 << 20);
    let huge = "ä".repeat(500_000);
    store.end(&sdk_span(1, 1, vec![KeyValue::new("huge", huge.clone())]));
    let many = (0..10_000).map(|n| KeyValue::new(format!("key {n}"), "long ".repeat(20))).collect();
    store.end(&SpanData { name: huge.into(), ..sdk_span(1, 2, many) });
    let spans = store.trace(1).unwrap().spans;
    let Value::Text(text) = &spans[0].attributes[0].1 else { panic!("{spans:?}") };
    assert!(text.len() < 3_000 && text.ends_with("… (1000000 bytes)"), "{text}");
    assert_eq!(spans[1].left_out + spans[1].attributes.len() as u64, 10_000);
    for id in 0..10_000 {
        store.end(&sdk_span(2, id + 1, Vec::new()));
    }
    let trace = store.trace(2).unwrap();
    assert_eq!(trace.spans.len() as u64 + trace.spans_left_out, 10_000);
    assert!(trace.spans_left_out > 0 && store.trace(1).is_some(), "one trace does not push out the others");
}

#[test]
fn a_search_finds_what_was_asked_for_and_the_newest_first() {
    let store = Store::new(1 << 20);
    for trace in 1..=4_u64 {
        store.end(&SpanData { name: "GET /".into(), ..sdk_span(trace.into(), trace * 10, Vec::new()) });
        let attributes = vec![KeyValue::new("n", trace as i64), KeyValue::new("route", "/")];
        let status = if trace == 2 { SdkStatus::error("") } else { SdkStatus::Unset };
        let child = SpanData {
            parent_span_id: SpanId::from(trace * 10),
            status,
            ..sdk_span(trace.into(), 1 + trace * 10, attributes)
        };
        store.end(&SpanData { end_time: child.start_time + Duration::from_millis(trace), ..child });
    }
    store.pick(exemplar(5, 5));
    store.end(&marked(5, 5));
    let all = Query { limit: 9, ..Query::default() };
    let found = |query: &Query| store.search(query).iter().map(|found| found.trace_id).collect::<Vec<_>>();
    let attribute = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(found(&all), [5, 4, 3, 2, 1]);
    assert_eq!(found(&Query { limit: 2, ..all.clone() }), [5, 4]);
    assert_eq!(found(&Query { name: name("GET /"), ..all.clone() }), [4, 3, 2, 1]);
    assert_eq!(found(&Query { name: name("GET"), ..all.clone() }), []);
    assert_eq!(found(&Query { attributes: attribute("n", "3"), ..all.clone() }), [3]);
    assert_eq!(found(&Query { name: name("GET /"), attributes: attribute("n", "3"), ..all.clone() }), []);
    assert_eq!(found(&Query { error: Some(true), ..all.clone() }), [2]);
    assert_eq!(found(&Query { error: Some(false), ..all.clone() }), [5, 4, 3, 1]);
    assert_eq!(found(&Query { exemplar: true, ..all.clone() }), [5]);
    let slow = Query { min_duration_ns: Some(30_000_000), ..all.clone() };
    assert_eq!(found(&slow), [4, 3], "of the whole trace");
    assert_eq!(found(&Query { attributes: attribute("route", "/"), ..slow.clone() }), [], "of the span");
    assert_eq!(found(&Query { max_duration_ns: Some(9_999_999), ..all.clone() }), [5]);
    assert_eq!(found(&Query { started: Some(START + 20..=START + 30), ..all.clone() }), [3, 2]);
    assert_eq!(found(&Query { trace_id: Some(3), ..all.clone() }), [3]);
    assert_eq!(found(&Query { slowest: true, ..all.clone() }), [4, 3, 2, 1, 5], "by the whole trace");
    assert_eq!(
        found(&Query { slowest: true, limit: 2, ..all.clone() }),
        [4, 3],
        "and not the first ones that were found"
    );
    let of_span = Query { slowest: true, attributes: attribute("route", "/"), limit: 1, ..all.clone() };
    assert_eq!(found(&of_span), [4], "by the span");
    assert!(store.has(4) && !store.has(6));
    let one = &store.search(&Query { attributes: attribute("n", "2"), ..all })[0];
    let expected = Found {
        trace_id: 2,
        name: "GET /".to_owned(),
        start_unix_ns: START + 20,
        duration_ns: 20_000_000,
        spans: 2,
        error: true,
        exemplar: false,
        span_id: 21,
        span_name: "work".to_owned(),
        span_duration_ns: 2_000_000,
    };
    assert_eq!(*one, expected);
}
