//! The span that a thread is in.

use crate::names::NameId;

/// The layer.
#[derive(Debug)]
pub struct SpanLabels;

/// The span that a sample was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    /// The innermost span's name.
    pub(crate) name: NameId,
    /// The name of the outermost span of this trace in this process.
    pub(crate) root_name: NameId,
    /// The innermost span; zero without OpenTelemetry.
    pub(crate) span_id: u64,
    /// The outermost span of this trace in this process.
    pub(crate) root_span_id: u64,
    /// The trace; zero without OpenTelemetry.
    pub(crate) trace_id: u128,
}

/// The span that this thread is in, if any. Async-signal-safe.
pub(crate) fn current() -> Option<Label> {
    None
}
