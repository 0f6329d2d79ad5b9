//! An entry for every open span: its name, its ids, and those of the root of its trace in this process.
//!
//! Open addressing over a fixed array of atomics. The thread that opens a span takes an empty place, writes it and then
//! publishes its key; the ids come with the first enter, and are published by `resolved`. A reader checks the key again
//! after it has read: a span that was closed meanwhile has none. Only names change while the key stands.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::Label;
use crate::names::NameId;
use crate::ring::{halves, whole};

/// Places for open spans: above what a service of 10,000 tasks with a span and a child each has open. 2 MiB, of which
/// a page is used when a span first comes there.
const PLACES: u32 = 1 << PLACES_BITS;
const PLACES_BITS: u32 = 15;

/// How far from its own place a span may lie. With the table two thirds full, one in some millions finds none.
const WINDOW: u32 = 32;

/// No parent.
const NO_PLACE: u32 = u32::MAX;

const EMPTY: u64 = 0;
/// Being written; `tracing` numbers no span like this, as its numbers count pages of a slab.
const TAKEN: u64 = u64::MAX;

/// The table of this process.
pub(super) static TABLE: Table = Table { entries: &ENTRIES, lost: AtomicU64::new(0) };

static ENTRIES: [Entry; PLACES as usize] = [const { Entry::new() }; PLACES as usize];

/// Where the entry of a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The span's number in its subscriber.
    pub(super) id: u64,
    /// The layer, because two subscribers number their spans alike.
    pub(super) owner: u32,
    /// The entry.
    pub(super) index: u32,
}

/// What OpenTelemetry says about a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
}

struct Entry {
    key: AtomicU64,
    owner: AtomicU32,
    resolved: AtomicU32,
    name: AtomicU32,
    root_name: AtomicU32,
    parent: AtomicU32,
    parent_id: AtomicU64,
    span_id: AtomicU64,
    root_span_id: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
}

pub(super) struct Table {
    entries: &'static [Entry; PLACES as usize],
    lost: AtomicU64,
}

impl Table {
    /// Opens a span; `None` when there is no room near its place.
    pub(super) fn insert(&self, id: u64, owner: u32, name: NameId, parent: Option<Place>) -> Option<u32> {
        for index in window(id) {
            let entry = &self.entries[index as usize];
            if entry.key.load(Ordering::Relaxed) == EMPTY
                && entry.key.compare_exchange(EMPTY, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                // Whoever reads one of the values below sees that the key is gone (Boehm, "Can seqlocks get along with
                // programming language memory models?", 2012).
                fence(Ordering::Release);
                entry.owner.store(owner, Ordering::Relaxed);
                entry.resolved.store(0, Ordering::Relaxed);
                entry.name.store(name.0, Ordering::Relaxed);
                entry.parent.store(parent.map_or(NO_PLACE, |parent| parent.index), Ordering::Relaxed);
                entry.parent_id.store(parent.map_or(EMPTY, |parent| parent.id), Ordering::Relaxed);
                entry.key.store(id, Ordering::Release);
                return Some(index);
            }
        }
        self.count_lost();
        None
    }

    /// Closes a span.
    pub(super) fn remove(&self, id: u64, owner: u32) {
        if let Some(index) = self.find(id, owner) {
            self.entries[index as usize].key.store(EMPTY, Ordering::Release);
        }
    }

    /// Where an open span is.
    #[inline]
    pub(super) fn find(&self, id: u64, owner: u32) -> Option<u32> {
        window(id).find(|index| {
            let entry = &self.entries[*index as usize];
            entry.key.load(Ordering::Acquire) == id && entry.owner.load(Ordering::Relaxed) == owner
        })
    }

    /// Renames an open span.
    pub(super) fn rename(&self, index: u32, name: NameId) {
        let entry = &self.entries[index as usize];
        if entry.parent.load(Ordering::Relaxed) == NO_PLACE {
            entry.root_name.store(name.0, Ordering::Relaxed);
        }
        entry.name.store(name.0, Ordering::Relaxed);
    }

    /// Whether the ids of an open span are known.
    #[inline]
    pub(super) fn is_resolved(&self, index: u32) -> bool {
        self.entries[index as usize].resolved.load(Ordering::Acquire) != 0
    }

    /// Fills in the ids of an open span: its own if it has any, else those of its parent. Two threads may do this at once,
    /// with the same result.
    pub(super) fn resolve(&self, index: u32, own: Option<Ids>) {
        let entry = &self.entries[index as usize];
        let name = NameId(entry.name.load(Ordering::Relaxed));
        // Whoever leaks a guard can have a parent that was closed, and another span in its place.
        let parent = self.read(Place {
            id: entry.parent_id.load(Ordering::Relaxed),
            owner: entry.owner.load(Ordering::Relaxed),
            index: entry.parent.load(Ordering::Relaxed),
        });
        let label = match (own, parent) {
            (Some(ids), Some(parent)) if parent.trace_id == ids.trace_id => {
                Label { name, span_id: ids.span_id, ..parent }
            }
            // The first span of its trace here, or without any ids above it.
            (Some(ids), _) => {
                Label { name, root_name: name, span_id: ids.span_id, root_span_id: ids.span_id, trace_id: ids.trace_id }
            }
            (None, Some(parent)) => Label { name, ..parent },
            (None, None) => Label { name, root_name: name, ..Label::default() },
        };
        entry.root_name.store(label.root_name.0, Ordering::Relaxed);
        entry.span_id.store(label.span_id, Ordering::Relaxed);
        entry.root_span_id.store(label.root_span_id, Ordering::Relaxed);
        let (high, low) = halves(label.trace_id);
        entry.trace_high.store(high, Ordering::Relaxed);
        entry.trace_low.store(low, Ordering::Relaxed);
        entry.resolved.store(1, Ordering::Release);
    }

    /// The label of a span that was entered; `None` once it is closed. Async-signal-safe.
    pub(super) fn read(&self, place: Place) -> Option<Label> {
        let entry = self.entries.get(place.index as usize)?;
        if entry.key.load(Ordering::Acquire) != place.id || entry.owner.load(Ordering::Relaxed) != place.owner {
            return None;
        }
        let resolved = entry.resolved.load(Ordering::Acquire) != 0;
        let label = resolved.then(|| entry.label());
        fence(Ordering::Acquire);
        let same = entry.key.load(Ordering::Relaxed) == place.id && entry.owner.load(Ordering::Relaxed) == place.owner;
        same.then_some(label)?
    }

    /// A span is without its label.
    #[cold]
    pub(super) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Entry {
    const fn new() -> Self {
        Self {
            key: AtomicU64::new(EMPTY),
            owner: AtomicU32::new(0),
            resolved: AtomicU32::new(0),
            name: AtomicU32::new(0),
            root_name: AtomicU32::new(0),
            parent: AtomicU32::new(NO_PLACE),
            parent_id: AtomicU64::new(EMPTY),
            span_id: AtomicU64::new(0),
            root_span_id: AtomicU64::new(0),
            trace_high: AtomicU64::new(0),
            trace_low: AtomicU64::new(0),
        }
    }

    fn label(&self) -> Label {
        Label {
            name: NameId(self.name.load(Ordering::Relaxed)),
            root_name: NameId(self.root_name.load(Ordering::Relaxed)),
            span_id: self.span_id.load(Ordering::Relaxed),
            root_span_id: self.root_span_id.load(Ordering::Relaxed),
            trace_id: whole(self.trace_high.load(Ordering::Relaxed), self.trace_low.load(Ordering::Relaxed)),
        }
    }
}

/// The places where a span may be. Fibonacci hashing (Knuth 6.4): numbers of spans count up in their lower bits and
/// carry the thread's shard and a generation in their upper ones.
#[inline]
fn window(id: u64) -> impl Iterator<Item = u32> {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let first = (id.wrapping_mul(GOLDEN) >> (u64::BITS - PLACES_BITS)) as u32;
    (0..WINDOW).map(move |step| (first + step) % PLACES)
}

#[cfg(test)]
mod tests;
