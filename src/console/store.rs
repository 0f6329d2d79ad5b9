//! What the console remembers, within a number of bytes.
//!
//! - [`Store`] files spans and exemplars and answers questions about them; [`traces`] keeps within the bytes;
//! - [`record`] is the form of a span at rest, with [`names`] in place of texts, and [`span`] what it is for readers;
//! - [`search`] finds traces, [`exemplars`] name them;
//! - [`history`] keeps what the metrics were.
//!
//! A span's mark stands in its record: an exemplar is shown once the record that it names is here, with the mark. So the
//! console acknowledges by itself, and waits for no collector.

mod exemplars;
pub mod history;
mod names;
mod record;
mod search;
mod span;
mod traces;

use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::trace::SpanData;
use serde::Serialize;

pub use exemplars::{Exemplar, SeriesName};
pub use history::History;
pub use search::{Found, Query};
pub use span::{Event, Kind, Link, Span, Status, Value};
pub use traces::Counts;

use names::Names;
use record::Reading;
use traces::Traces;

/// How long an exemplar is shown and metrics are kept.
pub const WINDOW_S: u64 = 15 * 60;

/// How long an exemplar waits for its span: longer than a request may take.
const WAITING_S: u64 = 60;

const SECOND: u64 = 1_000_000_000;

/// Traces and exemplars.
#[derive(Debug)]
pub struct Store {
    names: Names,
    traces: Mutex<Traces>,
}

/// A trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// Its id.
    #[serde(serialize_with = "span::trace_id")]
    pub trace_id: u128,
    /// Its spans by their start.
    pub spans: Vec<Span>,
    /// How many more there were.
    pub spans_left_out: u64,
    /// The exemplars that name it.
    pub exemplars: Vec<Exemplar>,
}

impl Store {
    /// An empty one that takes at most `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { names: Names::default(), traces: Mutex::new(Traces::new(bytes)) }
    }

    fn traces(&self) -> MutexGuard<'_, Traces> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the record of a span to `to`, for [`Self::file`]; only this store can read it.
    pub fn write(&self, to: &mut Vec<u8>, span: &SpanData) {
        record::write(to, span, &self.names);
    }

    /// Files spans, each with its trace, and exemplars, which may come before their spans or after them.
    pub fn file<'a>(
        &self,
        exemplars: impl IntoIterator<Item = Exemplar>,
        spans: impl IntoIterator<Item = (u128, &'a [u8])>,
    ) {
        let mut traces = self.traces();
        traces.names = self.names.read().bytes();
        exemplars.into_iter().for_each(|exemplar| traces.pick(exemplar));
        spans.into_iter().for_each(|(trace_id, record)| traces.add(trace_id, record));
    }

    /// Lets go of what is too old at a time in nanoseconds since the Unix epoch.
    pub fn expire(&self, now: u64) {
        self.traces().expire(now.saturating_sub(WINDOW_S * SECOND), now.saturating_sub(WAITING_S * SECOND));
    }

    /// One trace, if it is here.
    #[must_use]
    pub fn trace(&self, trace_id: u128) -> Option<Trace> {
        let traces = self.traces();
        let entry = traces.entries.get(&trace_id)?;
        let table = self.names.read();
        let mut spans: Vec<_> = entry.records().filter_map(|record| Reading::new(record, &table).span()).collect();
        spans.sort_by_key(|span| (span.start_unix_ns, std::cmp::Reverse(span.duration_ns)));
        let exemplars = entry.exemplars.iter().filter_map(|number| traces.exemplars.get(number).cloned()).collect();
        Some(Trace { trace_id, spans, spans_left_out: entry.spans_left_out, exemplars })
    }

    /// The traces that a query finds. Reads every span: some ten milliseconds with a full
    /// store, so ask on a thread that may block.
    #[must_use]
    pub fn search(&self, query: &Query) -> Vec<Found> {
        let traces = self.traces();
        let table = self.names.read();
        query.first(traces.newest().filter_map(|(id, entry)| query.found(id, entry, &table)))
    }

    /// Whether anything of a trace is here.
    #[must_use]
    pub fn has(&self, trace_id: u128) -> bool {
        self.traces().entries.contains_key(&trace_id)
    }

    /// The exemplars of a metric, of all its series that have these attributes, in the order in which they came.
    #[must_use]
    pub fn exemplars(&self, metric: &str, attributes: &[(String, String)]) -> Vec<Exemplar> {
        let of = |one: &&Exemplar| one.series.metric == metric && one.series.has(attributes);
        self.traces().exemplars.values().filter(of).cloned().collect()
    }

    /// What is kept and what is not.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.traces().counts()
    }
}

#[cfg(test)]
mod tests;
