//! The span that each thread is in, readable from a signal handler.
//!
//! Two tables of atomics: [`table`] has an entry for every open span, [`stack`] says for each thread which entries it has
//! entered. The [layer](SpanLabels) keeps both.

mod layer;
mod stack;
mod table;

use crate::names::NameId;

pub use layer::SpanLabels;

/// The span that a sample was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label {
    /// The innermost span's name.
    pub(crate) name: NameId,
    /// The name of the outermost span of this trace in this process.
    pub(crate) root_name: NameId,
    /// The innermost span that has an id; zero without OpenTelemetry.
    pub(crate) span_id: u64,
    /// The outermost span of this trace in this process.
    pub(crate) root_span_id: u64,
    /// The trace; zero without OpenTelemetry.
    pub(crate) trace_id: u128,
}

/// The span that this thread is in, if any. Async-signal-safe.
pub(crate) fn current() -> Option<Label> {
    let entered = stack::top()?;
    table::TABLE.read(entered)
}

/// Spans that found no room in the table, since the process began: samples in them carry no label of theirs.
pub(crate) fn lost() -> u64 {
    table::TABLE.lost()
}
