//! Who hears of an exemplar at once.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};

/// An exemplar that was picked and whose span has been marked.
#[derive(Clone, Copy, Debug)]
pub struct PickedExemplar<'a> {
    /// The name of the metric, as it was given to the builder of the instrument.
    pub metric: &'a str,
    /// The attributes of the series, sorted by key, each key once.
    pub attributes: &'a [KeyValue],
    /// The recorded value, in the instrument's unit.
    pub value: f64,
    /// When it was recorded.
    pub time: SystemTime,
    /// The trace that it names.
    pub trace_id: TraceId,
    /// The span that it was recorded in.
    pub span_id: SpanId,
}

/// What [`with_listener`](crate::ExemplarsBuilder::with_listener) was given.
#[derive(Clone)]
pub(crate) struct Listener(pub(crate) Arc<dyn Fn(&PickedExemplar<'_>) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
