//! Spans as the body of an OTLP request.
//!
//! The stock exporters copy the batch, turn each span into protobuf's own types, string by string, and measure every
//! message again at each level of nesting. In a service that samples every trace this is most of what telemetry costs.
//! Here each span is written once, into the buffer that is sent.

use std::time::SystemTime;

use bytes::Bytes;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::protobuf::{bytes, double, fixed32, fixed64, message, text, text_item, varint, varint_item};

/// What most spans need; a buffer that is too small grows.
const SPAN_BYTES: usize = 512;

/// `SpanFlags`: the two bits that tell whether a span's parent, or a linked span, is remote.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The request, an `ExportTraceServiceRequest`, with all spans under one resource, by scope.
pub(crate) fn request(resource: &Resource, spans: &[SpanData]) -> Bytes {
    let mut out = Vec::with_capacity(spans.len() * SPAN_BYTES);
    message(&mut out, 1, |out| {
        message(out, 1, |out| resource.iter().for_each(|(key, value)| attribute(out, 1, key, value)));
        let mut scopes: Vec<&InstrumentationScope> = Vec::new();
        for span in spans {
            // Nearly always there is one, the same as before.
            if !scopes.contains(&&span.instrumentation_scope) {
                scopes.push(&span.instrumentation_scope);
            }
        }
        for scope in scopes {
            message(out, 2, |out| {
                message(out, 1, |out| scope_of(out, scope));
                for span in spans.iter().filter(|span| span.instrumentation_scope == *scope) {
                    message(out, 2, |out| span_of(out, span));
                }
                text(out, 3, scope.schema_url().unwrap_or_default());
            });
        }
        text(out, 3, resource.schema_url().unwrap_or_default());
    });
    out.into()
}

fn scope_of(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    text(out, 1, scope.name());
    text(out, 2, scope.version().unwrap_or_default());
    attributes(out, 3, scope.attributes());
}

fn span_of(out: &mut Vec<u8>, span: &SpanData) {
    ids(out, &span.span_context);
    if span.parent_span_id != SpanId::INVALID {
        bytes(out, 4, &span.parent_span_id.to_bytes());
    }
    text(out, 5, &span.name);
    varint(out, 6, kind(&span.span_kind));
    fixed64(out, 7, nanos(span.start_time));
    fixed64(out, 8, nanos(span.end_time));
    attributes(out, 9, &span.attributes);
    varint(out, 10, span.dropped_attributes_count.into());
    for event in span.events.iter() {
        message(out, 11, |out| event_of(out, event));
    }
    varint(out, 12, span.events.dropped_count.into());
    for link in span.links.iter() {
        message(out, 13, |out| link_of(out, link));
    }
    varint(out, 14, span.links.dropped_count.into());
    message(out, 15, |out| status(out, &span.status));
    fixed32(out, 16, flags(&span.span_context, span.parent_span_is_remote));
}

/// Trace, span and trace state, which spans and links have under the same numbers.
fn ids(out: &mut Vec<u8>, context: &SpanContext) {
    bytes(out, 1, &context.trace_id().to_bytes());
    bytes(out, 2, &context.span_id().to_bytes());
    text(out, 3, &context.trace_state().header());
}

fn flags(context: &SpanContext, remote: bool) -> u32 {
    u32::from(context.trace_flags().to_u8()) | KNOWS_REMOTE | if remote { IS_REMOTE } else { 0 }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn event_of(out: &mut Vec<u8>, event: &Event) {
    fixed64(out, 1, nanos(event.timestamp));
    text(out, 2, &event.name);
    attributes(out, 3, &event.attributes);
    varint(out, 4, event.dropped_attributes_count.into());
}

fn link_of(out: &mut Vec<u8>, link: &Link) {
    ids(out, &link.span_context);
    attributes(out, 4, &link.attributes);
    varint(out, 5, link.dropped_attributes_count.into());
    fixed32(out, 6, flags(&link.span_context, link.span_context.is_remote()));
}

fn status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => varint(out, 3, 1),
        Status::Error { description } => {
            text(out, 2, description);
            varint(out, 3, 2);
        }
    }
}

fn attributes<'a>(out: &mut Vec<u8>, field: u32, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for KeyValue { key, value, .. } in attributes {
        attribute(out, field, key, value);
    }
}

fn attribute(out: &mut Vec<u8>, field: u32, key: &Key, value: &Value) {
    message(out, field, |out| {
        text(out, 1, key.as_str());
        message(out, 2, |out| any_value(out, value));
    });
}

/// One of several kinds, which is there even when it is zero.
fn any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(value) => text_item(out, 1, value.as_str()),
        Value::Bool(value) => varint_item(out, 2, u64::from(*value)),
        Value::I64(value) => varint_item(out, 3, value.cast_unsigned()),
        Value::F64(value) => double(out, 4, *value),
        Value::Array(array) => message(out, 5, |out| match array {
            Array::Bool(values) => items(out, values),
            Array::I64(values) => items(out, values),
            Array::F64(values) => items(out, values),
            Array::String(values) => items(out, values),
            _ => {}
        }),
        // A kind that this version of the API does not have yet.
        _ => text_item(out, 1, &value.as_str()),
    }
}

fn items<T: Clone + Into<Value>>(out: &mut Vec<u8>, values: &[T]) {
    for value in values {
        message(out, 1, |out| any_value(out, &value.clone().into()));
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
