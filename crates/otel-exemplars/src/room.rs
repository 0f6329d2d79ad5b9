//! The waiting room: exemplars whose span has not been exported yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::exemplar::{Exemplar, SpanKey};
use crate::series::Series;
use crate::sync::{Mutex, lock};

/// An exemplar and the series it was picked from.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    pub(crate) series: Arc<Series>,
    pub(crate) exemplar: Exemplar,
}

/// Whether a picked exemplar was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The first of its span: the span must be marked now.
    First,
    /// Its span waits for another exemplar already, and is marked.
    Another,
    Full,
}

/// Exemplars by the span that they wait for; at most `capacity`, since a span that never ends would hold its own
/// until [`WaitingRoom::expire`] finds it.
#[derive(Debug)]
pub(crate) struct WaitingRoom {
    capacity: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_span: HashMap<SpanKey, Vec<Picked>>,
    len: usize,
}

impl WaitingRoom {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Mutex::new(Waiting::default()) }
    }

    pub(crate) fn enter(&self, picked: Picked) -> Entry {
        let mut waiting = lock(&self.waiting);
        if waiting.len >= self.capacity {
            return Entry::Full;
        }
        waiting.len += 1;
        let of_span = waiting.by_span.entry(picked.exemplar.span_key()).or_default();
        of_span.push(picked);
        if of_span.len() == 1 { Entry::First } else { Entry::Another }
    }

    /// Those of `spans` that somebody waits for.
    pub(crate) fn awaited<T>(&self, spans: impl Iterator<Item = (SpanKey, T)>) -> Vec<(SpanKey, T)> {
        let waiting = lock(&self.waiting);
        if waiting.len == 0 {
            return Vec::new();
        }
        spans.filter(|(key, _)| waiting.by_span.contains_key(key)).collect()
    }

    /// Takes out what waits for `span`.
    pub(crate) fn leave(&self, span: SpanKey) -> Vec<Picked> {
        let mut waiting = lock(&self.waiting);
        let left = waiting.by_span.remove(&span).unwrap_or_default();
        waiting.len -= left.len();
        left
    }

    /// Throws out what was recorded more than `limit` before `now`, and says how many.
    pub(crate) fn expire(&self, now: SystemTime, limit: Duration) -> usize {
        let mut waiting = lock(&self.waiting);
        let before = waiting.len;
        let fresh = |picked: &Picked| now.duration_since(picked.exemplar.time).unwrap_or_default() <= limit;
        waiting.by_span.retain(|_, of_span| {
            of_span.retain(fresh);
            !of_span.is_empty()
        });
        waiting.len = waiting.by_span.values().map(Vec::len).sum();
        before - waiting.len
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).len
    }
}
