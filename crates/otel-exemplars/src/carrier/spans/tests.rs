use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::StringValue;
use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

/// The stock exporters' request.
fn stock(resource: &Resource, spans: &[SpanData]) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans.to_vec(), &resource) }
}

fn assert_equal(resource: &Resource, spans: &[SpanData]) {
    let ours = ExportTraceServiceRequest::decode(request(resource, spans)).unwrap();
    assert_eq!(ours, stock(resource, spans));
}

fn texts() -> impl Strategy<Value = String> {
    // Lengths on both sides of where a length takes one byte more.
    prop_oneof![4 => "", 9 => "[a-z.]{1,12}", 4 => "\\PC{0,20}", 4 => "[é]{60,70}", 1 => (16_370..16_390_usize).prop_map(|n| "x".repeat(n))]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        texts().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(0), Just(-1), any::<i64>()].prop_map(Value::from),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), -1e9..1e9].prop_map(Value::from),
        proptest::collection::vec(any::<i64>(), 0..3).prop_map(|items| Value::Array(Array::I64(items))),
        proptest::collection::vec(any::<bool>(), 0..3).prop_map(|items| Value::Array(Array::Bool(items))),
        proptest::collection::vec(-1.0..1.0, 0..3).prop_map(|items| Value::Array(Array::F64(items))),
        proptest::collection::vec(texts().prop_map(StringValue::from), 0..3)
            .prop_map(|items| Value::Array(Array::String(items))),
    ]
}

fn attribute_lists() -> impl Strategy<Value = Vec<KeyValue>> {
    proptest::collection::vec((texts(), values()).prop_map(|(key, value)| KeyValue::new(key, value)), 0..5)
}

fn times() -> impl Strategy<Value = SystemTime> {
    (0..u64::from(u32::MAX), 0..1_000_000_000_u32).prop_map(|(s, ns)| SystemTime::UNIX_EPOCH + Duration::new(s, ns))
}

fn contexts() -> impl Strategy<Value = SpanContext> {
    (any::<u128>(), any::<u64>(), any::<u8>(), any::<bool>(), any::<bool>()).prop_map(
        |(trace, span, flags, remote, state)| {
            let state =
                if state { TraceState::from_key_value([("a", "1"), ("b", "2")]).unwrap() } else { TraceState::NONE };
            SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags), remote, state)
        },
    )
}

fn scopes() -> impl Strategy<Value = InstrumentationScope> {
    prop_oneof![
        Just(InstrumentationScope::builder("phases").build()),
        (texts(), texts(), attribute_lists()).prop_map(|(version, schema, attributes)| {
            let scope = InstrumentationScope::builder("other").with_version(version).with_schema_url(schema);
            scope.with_attributes(attributes).build()
        }),
    ]
}

prop_compose! {
    fn span_events()(
        events in proptest::collection::vec((texts(), times(), attribute_lists(), any::<u32>()), 0..3),
        dropped_count in any::<u32>(),
    ) -> SpanEvents {
        let mut of_span = SpanEvents::default();
        of_span.events = events.into_iter().map(|(name, at, attributes, dropped)| Event::new(name, at, attributes, dropped)).collect();
        of_span.dropped_count = dropped_count;
        of_span
    }
}

prop_compose! {
    fn span_links()(
        links in proptest::collection::vec((contexts(), attribute_lists(), any::<u32>()), 0..3),
        dropped_count in any::<u32>(),
    ) -> SpanLinks {
        let mut of_span = SpanLinks::default();
        of_span.links = links.into_iter().map(|(context, attributes, dropped)| Link::new(context, attributes, dropped)).collect();
        of_span.dropped_count = dropped_count;
        of_span
    }
}

prop_compose! {
    fn spans()(
        (span_context, parent, parent_span_is_remote) in (contexts(), any::<Option<u64>>(), any::<bool>()),
        kind in 0..5_usize,
        name in texts(),
        (start_time, end_time) in (times(), times()),
        (attributes, dropped_attributes_count) in (attribute_lists(), any::<u32>()),
        (events, links) in (span_events(), span_links()),
        status in prop_oneof![Just(Status::Unset), Just(Status::Ok), texts().prop_map(Status::error)],
        instrumentation_scope in scopes(),
    ) -> SpanData {
        let kinds = [SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
        SpanData {
            span_context,
            parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote,
            span_kind: kinds[kind].clone(),
            name: Cow::Owned(name),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count,
            events,
            links,
            status,
            instrumentation_scope,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_request_says_what_the_stock_exporters_say(
        spans in proptest::collection::vec(spans(), 0..6),
        attributes in attribute_lists(),
        schema in texts(),
    ) {
        let resource = Resource::builder_empty().with_schema_url(attributes, schema).build();
        assert_equal(&resource, &spans);
    }
}
