//! Which traces somebody looks for.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::names::Table;
use super::record::{Head, Reading};
use super::traces::Entry;

/// What a trace must have to be found. One of its spans must have the name, the attributes and the error that are asked
/// for. The duration is that span's where a name or an attribute is asked for, and the whole trace's otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// This trace only.
    pub trace_id: Option<u128>,
    /// The name of a span.
    pub name: Option<String>,
    /// Attributes of a span, by key and value as text.
    pub attributes: Vec<(String, String)>,
    /// Whether a span must have ended with an error, or none of the trace may.
    pub error: Option<bool>,
    /// In nanoseconds.
    pub min_duration_ns: Option<u64>,
    /// In nanoseconds.
    pub max_duration_ns: Option<u64>,
    /// When the trace started, in nanoseconds since the Unix epoch.
    pub started: Option<RangeInclusive<u64>>,
    /// Only traces that an exemplar names.
    pub exemplar: bool,
    /// The slowest ones first, by the duration that is asked about, in place of the newest.
    pub slowest: bool,
    /// How many traces.
    pub limit: usize,
}

/// A trace that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Its id.
    #[serde(serialize_with = "super::span::trace_id")]
    pub trace_id: u128,
    /// The name of its first span.
    pub name: String,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// From the start of its first span to the end of its last one, in nanoseconds.
    pub duration_ns: u64,
    /// How many spans it has here.
    pub spans: usize,
    /// Whether one of them ended with an error.
    pub error: bool,
    /// Whether an exemplar names it.
    pub exemplar: bool,
    /// The span that has what was asked for, the slowest of them.
    #[serde(serialize_with = "super::span::span_id")]
    pub span_id: u64,
    /// Its name.
    pub span_name: String,
    /// Its duration, in nanoseconds.
    pub span_duration_ns: u64,
}

impl Query {
    /// The first ones of what was found, which comes from the newest to the oldest.
    pub(super) fn first(&self, found: impl Iterator<Item = Found>) -> Vec<Found> {
        if !self.slowest {
            return found.take(self.limit).collect();
        }
        let duration = |found: &Found| if self.of_span() { found.span_duration_ns } else { found.duration_ns };
        let mut first = Vec::new();
        for one in found {
            first.push(one);
            // So that they never take more than twice the memory of what is answered.
            if first.len() > 2 * self.limit {
                first.sort_by_key(|found| Reverse(duration(found)));
                first.truncate(self.limit);
            }
        }
        first.sort_by_key(|found| Reverse(duration(found)));
        first.truncate(self.limit);
        first
    }

    /// Whether the duration is that of a span.
    fn of_span(&self) -> bool {
        self.name.is_some() || !self.attributes.is_empty()
    }

    fn duration(&self, nanos: u64) -> bool {
        self.min_duration_ns.is_none_or(|min| nanos >= min) && self.max_duration_ns.is_none_or(|max| nanos <= max)
    }

    /// What is told of a trace, if it has what is asked for.
    pub(super) fn found(&self, trace_id: u128, entry: &Entry, table: &Table) -> Option<Found> {
        if self.exemplar && entry.exemplars.is_empty() || self.trace_id.is_some_and(|asked| asked != trace_id) {
            return None;
        }
        let of_span = self.of_span();
        let (mut first, mut best) = (None::<Head<'_>>, None::<Head<'_>>);
        let (mut end, mut spans, mut error) = (0, 0, false);
        for record in entry.records() {
            let mut reading = Reading::new(record, table);
            let Some(head) = reading.head() else { continue };
            spans += 1;
            error |= head.error.is_some();
            end = end.max(head.start.saturating_add(head.duration));
            // Of two that start together the parent is the longer one.
            if first.is_none_or(|first| (head.start, first.duration) < (first.start, head.duration)) {
                first = Some(head);
            }
            let longer = best.is_none_or(|best| best.duration < head.duration);
            if longer && (!of_span || self.duration(head.duration)) && self.matches(&head, reading) {
                best = Some(head);
            }
        }
        let (first, best) = (first?, best?);
        let duration = end.saturating_sub(first.start);
        let asked = (of_span || self.duration(duration))
            && (self.error != Some(false) || !error)
            && self.started.as_ref().is_none_or(|range| range.contains(&first.start));
        asked.then(|| Found {
            trace_id,
            name: first.name.to_owned(),
            start_unix_ns: first.start,
            duration_ns: duration,
            spans,
            error,
            exemplar: !entry.exemplars.is_empty(),
            span_id: best.span_id,
            span_name: best.name.to_owned(),
            span_duration_ns: best.duration,
        })
    }

    fn matches(&self, head: &Head<'_>, mut reading: Reading<'_>) -> bool {
        if self.name.as_ref().is_some_and(|name| name != head.name) || self.error == Some(true) && head.error.is_none()
        {
            return false;
        }
        let mut missing = self.attributes.len();
        while missing > 0
            && let Some((key, value)) = reading.attribute()
        {
            missing -= self.attributes.iter().filter(|(k, v)| k == key && value.is(v)).count().min(missing);
        }
        missing == 0
    }
}
