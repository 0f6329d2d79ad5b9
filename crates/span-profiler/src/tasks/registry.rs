//! The list of all tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::entry::Entry;
use crate::names::NameId;

/// Tasks that are listed at once; further ones run untracked and are counted. Each takes some 300 bytes, so all of them
/// 20 MiB, and more than these would make a dump that nobody can read.
pub(super) const CAPACITY: usize = 65_536;

/// Parts with a lock each, so that workers that spawn at the same time rarely meet. A power of two.
const SHARDS: usize = 16;

pub(super) static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(CAPACITY));

type Shard = Mutex<HashMap<u64, Arc<Entry>>>;

#[derive(Debug)]
pub(super) struct Registry {
    shards: [Shard; SHARDS],
    capacity: usize,
    length: AtomicUsize,
    next: AtomicU64,
    untracked: AtomicU64,
}

impl Registry {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: Default::default(),
            capacity,
            length: AtomicUsize::new(0),
            next: AtomicU64::new(1),
            untracked: AtomicU64::new(0),
        }
    }

    /// A new entry, unless there are too many.
    pub(super) fn add(&self, name: NameId) -> Option<Arc<Entry>> {
        if self.length.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.length.fetch_sub(1, Ordering::Relaxed);
            self.untracked.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let entry = Arc::new(Entry::new(self.next.fetch_add(1, Ordering::Relaxed), name));
        self.shard(entry.id).insert(entry.id, Arc::clone(&entry));
        Some(entry)
    }

    pub(super) fn remove(&self, entry: &Entry) {
        if self.shard(entry.id).remove(&entry.id).is_some() {
            self.length.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// All entries, in the order of their ids.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries = Vec::with_capacity(self.length.load(Ordering::Relaxed));
        for shard in &self.shards {
            entries.extend(lock(shard).values().cloned());
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        entries
    }

    /// Tasks that found no room since the process began.
    pub(super) fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        const MASK: u64 = SHARDS as u64 - 1;
        lock(&self.shards[usize::try_from(id & MASK).unwrap_or_default()])
    }
}

fn lock(shard: &Shard) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_beyond_the_bound_are_counted_and_room_comes_back() {
        let registry = Registry::new(2);
        let [one, two] = [1, 2].map(|name| registry.add(NameId(name)).unwrap());
        assert!(registry.add(NameId(3)).is_none());
        assert_eq!((registry.entries().len(), registry.untracked()), (2, 1));
        registry.remove(&one);
        registry.remove(&one);
        assert!(registry.add(NameId(4)).is_some());
        assert!(registry.add(NameId(5)).is_none());
        assert_eq!(registry.entries()[0].id, two.id);
    }
}
