//! Catches: a console that takes more memory than it says, or keeps far less than it may. In a process of its own, because it asks
//! the allocator, which knows of the whole process only.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use phaselab::console::store::Store;
use span_profiler::heap::AllocatorStats;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const LIMIT: usize = 24 << 20;

/// A request to `/api/work` as the service traces it: its root and three phases.
fn request(number: u64) -> impl Iterator<Item = SpanData> {
    let names = ["db_query", "cpu_loop", "json_encode", "GET /api/work"];
    (0..4_u64).zip(names).map(move |(place, name)| {
        let trace_id = TraceId::from(u128::from(number) << 64 | 0x9e37_79b9_7f4a_7c15);
        let id = SpanId::from(number << 8 | (place + 1));
        let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000 + number);
        let timing = ["busy_ns", "idle_ns", "thread.id"].map(|key| KeyValue::new(key, 1_234_567 + number as i64));
        let own = match place {
            3 => vec![
                KeyValue::new("http.request.method", "GET"),
                KeyValue::new("http.route", "/api/work"),
                KeyValue::new("http.response.status_code", 200),
                KeyValue::new("network.protocol.version", "1.1"),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("url.path", "/api/work"),
                KeyValue::new("url.query", format!("items=50&loop_iterations={number}")),
            ],
            _ => vec![KeyValue::new("section", "cpu_loop"), KeyValue::new("db.query.summary", "SELECT item")],
        };
        SpanData {
            span_context: SpanContext::new(trace_id, id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: if place == 3 { SpanId::INVALID } else { SpanId::from(number << 8 | 4) },
            parent_span_is_remote: false,
            span_kind: if place == 3 { SpanKind::Server } else { SpanKind::Internal },
            name: name.into(),
            start_time: start,
            end_time: start + Duration::from_micros(place * 300 + 7),
            attributes: own.into_iter().chain(timing).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    })
}

fn allocated() -> usize {
    let stats = AllocatorStats::read().expect("jemalloc is the allocator");
    usize::try_from(stats.allocated).expect("memory fits a pointer")
}

#[test]
fn a_full_store_takes_what_it_says_and_no_more() {
    let before = allocated();
    let store = Store::new(LIMIT);
    let mut record = Vec::new();
    let mut number = 0;
    while store.counts().traces_gone < 1_000 {
        for span in request(number) {
            record.clear();
            store.write(&mut record, &span);
            let trace_id = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
            store.file([], [(trace_id, &record[..])]);
        }
        number += 1;
    }
    let counts = store.counts();
    let taken = allocated() - before;
    let per_span = taken / (4 * counts.traces);
    println!("{} traces of 4 spans, {taken} bytes, {per_span} of a span: {counts:?}", counts.traces);
    assert!(taken <= counts.bytes && counts.bytes <= LIMIT, "{taken} {counts:?}");
    assert!(taken > LIMIT / 2 && per_span < 250, "{taken} {counts:?}");
}
