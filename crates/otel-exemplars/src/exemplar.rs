//! One measurement and the span that it was made in.

use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};

/// A measurement that was picked from a time series, with the span that was current when it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    /// The recorded value, in the instrument's unit.
    pub(crate) value: f64,
    /// When it was recorded; taken after the SDK counted the value, so a data point that is not older has counted it.
    pub(crate) time: SystemTime,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

/// The span that an exemplar waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpanKey {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Exemplar {
    pub(crate) fn span_key(&self) -> SpanKey {
        SpanKey { trace_id: self.trace_id, span_id: self.span_id }
    }
}
