//! The traces and the exemplars that name them, within a number of bytes.
//!
//! Traces leave in the order in which they came: those without an exemplar first, and when only those with one are left,
//! the oldest together with its exemplars. So whatever is shown as an exemplar has its trace.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::exemplars::{Exemplar, SeriesName, Waiting};
use super::record::marked_span;

/// A trace's place in the maps here, at their worst fill.
const TRACE_OVERHEAD: usize = 256;

/// An exemplar, likewise, with its number in its trace.
const EXEMPLAR_OVERHEAD: usize = 192;

/// Of all bytes, what one trace may take: the spans after that are counted only.
const TRACE_SHARE: usize = 16;

/// What was kept and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Traces that are kept.
    pub traces: usize,
    /// Exemplars that are shown.
    pub exemplars: usize,
    /// Memory of both, in bytes.
    pub bytes: usize,
    /// The limit for it, in bytes.
    pub bytes_limit: usize,
    /// Traces that had to go.
    pub traces_gone: u64,
    /// Spans of traces that were too large.
    pub spans_left_out: u64,
    /// Spans that came faster than they could be filed.
    pub spans_dropped: u64,
    /// Metric series that found no room.
    pub series_left_out: u64,
}

/// One trace.
#[derive(Debug, Default)]
pub(super) struct Entry {
    arrival: u64,
    /// Its records, each after its length in four bytes.
    records: Vec<u8>,
    pub(super) spans_left_out: u64,
    /// The numbers of the exemplars that name it.
    pub(super) exemplars: Vec<u64>,
}

impl Entry {
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.records[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (record, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = after;
            Some(record)
        })
    }

    fn has_marked(&self, span_id: u64) -> bool {
        self.records().any(|record| marked_span(record) == Some(span_id))
    }

    fn bytes(&self) -> usize {
        TRACE_OVERHEAD + allocated(self.records.capacity())
    }
}

/// What an allocation takes: allocators round up, ours to an eighth of the next power of two.
fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

/// The traces.
#[derive(Debug)]
pub(super) struct Traces {
    limit: usize,
    bytes: usize,
    /// Of the limit, what the names take.
    pub(super) names: usize,
    pub(super) entries: HashMap<u128, Entry>,
    /// Those without an exemplar by arrival.
    plain: BTreeMap<u64, u128>,
    /// Those with one.
    kept: BTreeMap<u64, u128>,
    arrivals: u64,
    /// By number, which is the order in which they came.
    pub(super) exemplars: BTreeMap<u64, Exemplar>,
    exemplar_numbers: u64,
    /// Whose exemplars they are; as many as there are series with slots.
    series: HashSet<Arc<SeriesName>>,
    waiting: Waiting,
    gone: u64,
    left_out: u64,
}

impl Traces {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            names: 0,
            entries: HashMap::new(),
            plain: BTreeMap::new(),
            kept: BTreeMap::new(),
            arrivals: 0,
            exemplars: BTreeMap::new(),
            exemplar_numbers: 0,
            series: HashSet::new(),
            waiting: Waiting::default(),
            gone: 0,
            left_out: 0,
        }
    }

    /// Files a span.
    pub(super) fn add(&mut self, trace_id: u128, record: &[u8]) {
        let entry = self.entries.entry(trace_id).or_insert_with(|| {
            self.arrivals += 1;
            self.plain.insert(self.arrivals, trace_id);
            self.bytes += TRACE_OVERHEAD;
            Entry { arrival: self.arrivals, ..Entry::default() }
        });
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        if entry.records.len() + record.len() > self.limit / TRACE_SHARE {
            entry.spans_left_out += 1;
            self.left_out += 1;
            return;
        }
        let before = entry.bytes();
        entry.records.reserve_exact(4 + record.len());
        entry.records.extend_from_slice(&length.to_be_bytes());
        entry.records.extend_from_slice(record);
        self.bytes += entry.bytes() - before;
        if let Some(span_id) = marked_span(record) {
            for exemplar in self.waiting.leave(trace_id, span_id) {
                self.show(exemplar);
            }
        }
        self.shrink();
    }

    /// An exemplar is shown once the span that it names is here, with its mark.
    pub(super) fn pick(&mut self, mut exemplar: Exemplar) {
        match self.series.get(&exemplar.series) {
            Some(known) => exemplar.series = Arc::clone(known),
            None => {
                self.bytes += exemplar.series.bytes();
                self.series.insert(Arc::clone(&exemplar.series));
            }
        }
        let here = self.entries.get(&exemplar.trace_id).is_some_and(|entry| entry.has_marked(exemplar.span_id));
        if here {
            self.show(exemplar);
        } else {
            self.waiting.enter(exemplar);
        }
        self.shrink();
    }

    fn show(&mut self, exemplar: Exemplar) {
        let Some(entry) = self.entries.get_mut(&exemplar.trace_id) else { return };
        self.plain.remove(&entry.arrival);
        self.kept.insert(entry.arrival, exemplar.trace_id);
        self.exemplar_numbers += 1;
        entry.exemplars.push(self.exemplar_numbers);
        self.exemplars.insert(self.exemplar_numbers, exemplar);
        self.bytes += EXEMPLAR_OVERHEAD;
    }

    /// Lets go of exemplars that were recorded before `shown`, and of those whose span has not come though they were
    /// recorded before `waiting`; both in nanoseconds.
    pub(super) fn expire(&mut self, shown: u64, waiting: u64) {
        self.waiting.expire(waiting);
        // They come nearly in the order of their times.
        while let Some(first) = self.exemplars.first_entry().filter(|first| first.get().unix_ns < shown) {
            let (number, exemplar) = first.remove_entry();
            self.bytes -= EXEMPLAR_OVERHEAD;
            let Some(entry) = self.entries.get_mut(&exemplar.trace_id) else { continue };
            entry.exemplars.retain(|one| *one != number);
            if entry.exemplars.is_empty() {
                self.kept.remove(&entry.arrival);
                self.plain.insert(entry.arrival, exemplar.trace_id);
            }
        }
    }

    fn shrink(&mut self) {
        while self.bytes + self.names > self.limit {
            let Some((_, trace_id)) = self.plain.pop_first().or_else(|| self.kept.pop_first()) else { return };
            let Some(entry) = self.entries.remove(&trace_id) else { continue };
            self.bytes -= entry.bytes();
            for number in &entry.exemplars {
                self.exemplars.remove(number);
                self.bytes -= EXEMPLAR_OVERHEAD;
            }
            self.gone += 1;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            traces: self.entries.len(),
            exemplars: self.exemplars.len(),
            bytes: self.bytes + self.names,
            bytes_limit: self.limit,
            traces_gone: self.gone,
            spans_left_out: self.left_out,
            ..Counts::default()
        }
    }

    /// From the newest to the oldest.
    pub(super) fn newest(&self) -> impl Iterator<Item = (u128, &Entry)> {
        let mut plain = self.plain.iter().rev().peekable();
        let mut kept = self.kept.iter().rev().peekable();
        std::iter::from_fn(move || {
            let of_plain = plain.peek().map(|(arrival, _)| **arrival) > kept.peek().map(|(arrival, _)| **arrival);
            let (_, trace_id) = if of_plain { plain.next() } else { kept.next() }?;
            Some((*trace_id, self.entries.get(trace_id)?))
        })
    }
}
