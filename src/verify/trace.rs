//! Reads traces in OTLP's JSON form, as Tempo and Jaeger answer with them.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// The attribute that tail sampling keeps a trace for.
pub const MARK: &str = "exemplar";

/// An id of a span.
pub type SpanId = [u8; 8];

/// What a check needs to know of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Whether it carries [`MARK`] with the boolean `true`.
    pub marked: bool,
    /// From its start to its end.
    pub duration: Duration,
}

/// The spans of a trace by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The spans; never empty in a trace that a store really holds.
    pub spans: HashMap<SpanId, Span>,
}

/// The part of OTLP's `TracesData` that is of use here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TracesData {
    #[serde(alias = "batches")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpans {
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ScopeSpans {
    spans: Vec<SpanData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpanData {
    span_id: String,
    start_time_unix_nano: Value,
    end_time_unix_nano: Value,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attribute {
    key: String,
    value: Value,
}

impl Trace {
    /// Adds the spans of `data`.
    ///
    /// # Errors
    /// When an id or a time cannot be read; the text says which.
    pub(super) fn add(&mut self, data: TracesData) -> Result<(), String> {
        let scopes = data.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let id = span_id(&span.span_id).ok_or_else(|| format!("the span id {:?} is no id", span.span_id))?;
            let start = nanoseconds(&span.start_time_unix_nano)?;
            let end = nanoseconds(&span.end_time_unix_nano)?;
            let marked = span
                .attributes
                .iter()
                .any(|attribute| attribute.key == MARK && attribute.value.get("boolValue") == Some(&Value::Bool(true)));
            let duration = Duration::from_nanos(end.saturating_sub(start));
            self.spans.insert(id, Span { marked, duration });
        }
        Ok(())
    }
}

/// Reads a span id as hex (OTLP's JSON, Jaeger) or as base64 (protobuf's own JSON, Tempo).
#[must_use]
pub fn span_id(text: &str) -> Option<SpanId> {
    if text.len() == 16 {
        return hex(text);
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Reads `N` bytes written as hex digits.
#[must_use]
pub fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// JSON writes 64-bit numbers as text, but not every backend does.
fn nanoseconds(value: &Value) -> Result<u64, String> {
    let read = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    read.ok_or_else(|| format!("{value} is no time in nanoseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_both_forms() {
        let id = [0x90, 0xda, 0x36, 0x7e, 0, 0, 0, 1];
        assert_eq!(span_id("90da367e00000001"), Some(id));
        assert_eq!(span_id("90DA367E00000001"), Some(id));
        assert_eq!(span_id("kNo2fgAAAAE="), Some(id));
        for bad in ["", "90da367e0000000", "90da367e0000000g", "+0da367e00000001", "kNo2fgAAAAEA"] {
            assert_eq!(span_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_the_boolean_true_is_a_mark() {
        let marks = [
            (serde_json::json!({"boolValue": true}), true),
            (serde_json::json!({"boolValue": false}), false),
            (serde_json::json!({"stringValue": "true"}), false),
        ];
        for (value, marked) in marks {
            let data = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
                "spanId": "90da367e00000001", "startTimeUnixNano": "5", "endTimeUnixNano": 8,
                "attributes": [{"key": "exemplar", "value": value}],
            }]}]}]});
            let mut trace = Trace::default();
            trace.add(serde_json::from_value(data).unwrap()).unwrap();
            let span = trace.spans.into_values().next().unwrap();
            assert_eq!(span, Span { marked, duration: Duration::from_nanos(3) });
        }
    }
}
