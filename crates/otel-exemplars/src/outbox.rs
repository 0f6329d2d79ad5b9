//! Acknowledged exemplars that wait for the next metric export.

use std::collections::VecDeque;

use crate::room::Picked;
use crate::sync::{Mutex, lock};

/// At most `capacity` exemplars: when metric exports keep failing, the oldest make room, because Prometheus refuses
/// what is older than its out-of-order window anyway.
#[derive(Debug)]
pub(crate) struct Outbox {
    capacity: usize,
    ready: Mutex<VecDeque<Picked>>,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ready: Mutex::new(VecDeque::new()) }
    }

    /// Adds exemplars and says how many old ones had to go.
    pub(crate) fn put(&self, picked: Vec<Picked>) -> usize {
        let mut ready = lock(&self.ready);
        ready.extend(picked);
        let over = ready.len().saturating_sub(self.capacity);
        ready.drain(..over);
        over
    }

    pub(crate) fn take(&self) -> Vec<Picked> {
        lock(&self.ready).drain(..).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.ready).len()
    }
}
