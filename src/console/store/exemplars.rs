//! Measurements that name a span.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::KeyValue;
use otel_exemplars::PickedExemplar;
use serde::Serialize;

use super::record::nanos;

/// Exemplars whose span has not ended yet; as many as wait for their export.
const MAX_WAITING: usize = 4_096;

/// Longer values of attributes are cut here.
const MAX_VALUE_BYTES: usize = 256;

/// What a metric is called, with its attributes sorted by key; exemplars share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SeriesName {
    /// The metric.
    pub metric: String,
    /// The attributes.
    pub attributes: Vec<(String, String)>,
}

impl SeriesName {
    /// Sorted by key; the values as text.
    pub(super) fn new<'a>(metric: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> Self {
        let text = |one: &KeyValue| {
            let mut value = one.value.to_string();
            value.truncate(value.floor_char_boundary(MAX_VALUE_BYTES));
            (one.key.as_str().to_owned(), value)
        };
        let mut attributes: Vec<_> = attributes.map(text).collect();
        attributes.sort_unstable();
        Self { metric: metric.to_owned(), attributes }
    }

    /// Whether it has all of these attributes.
    #[must_use]
    pub fn has(&self, attributes: &[(String, String)]) -> bool {
        attributes.iter().all(|one| self.attributes.contains(one))
    }

    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(key, value)| 2 * 32 + key.len() + value.len());
        size_of::<Self>() + 32 + self.metric.len() + attributes.sum::<usize>()
    }
}

/// A measurement and the span that it was made in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exemplar {
    /// What was measured.
    #[serde(flatten, serialize_with = "shared")]
    pub series: Arc<SeriesName>,
    /// The value, in the instrument's unit.
    pub value: f64,
    /// When it was recorded, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// The trace.
    #[serde(serialize_with = "super::span::trace_id")]
    pub trace_id: u128,
    /// The span.
    #[serde(serialize_with = "super::span::span_id")]
    pub span_id: u64,
}

fn shared<S: serde::Serializer>(series: &Arc<SeriesName>, to: S) -> Result<S::Ok, S::Error> {
    series.as_ref().serialize(to)
}

impl From<&PickedExemplar<'_>> for Exemplar {
    fn from(picked: &PickedExemplar<'_>) -> Self {
        Self {
            series: Arc::new(SeriesName::new(picked.metric, picked.attributes.iter())),
            value: picked.value,
            unix_ns: nanos(picked.time),
            trace_id: u128::from_be_bytes(picked.trace_id.to_bytes()),
            span_id: u64::from_be_bytes(picked.span_id.to_bytes()),
        }
    }
}

/// Those whose span is awaited.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_span: HashMap<(u128, u64), Vec<Exemplar>>,
    len: usize,
}

impl Waiting {
    /// Over the bound it is left out: its trace is here then and is no exemplar's.
    pub(super) fn enter(&mut self, exemplar: Exemplar) {
        if self.len < MAX_WAITING {
            self.by_span.entry((exemplar.trace_id, exemplar.span_id)).or_default().push(exemplar);
            self.len += 1;
        }
    }

    pub(super) fn leave(&mut self, trace_id: u128, span_id: u64) -> Vec<Exemplar> {
        let left = self.by_span.remove(&(trace_id, span_id)).unwrap_or_default();
        self.len -= left.len();
        left
    }

    pub(super) fn expire(&mut self, before: u64) {
        self.by_span.retain(|_, exemplars| {
            exemplars.retain(|exemplar| exemplar.unix_ns >= before);
            !exemplars.is_empty()
        });
        self.len = self.by_span.values().map(Vec::len).sum();
    }
}
