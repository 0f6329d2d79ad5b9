//! A label that one thread writes and others read.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::labels::Label;
use crate::names::NameId;
use crate::ring::{halves, whole};

/// Attempts of a reader before it gives up: a writer needs some nanoseconds, but may lose its processor in between.
const ATTEMPTS: usize = 64;

/// A sequence lock of atomics: the number is odd while the words are being written (Boehm, "Can seqlocks get along with
/// programming language memory models?", 2012). One writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Published {
    sequence: AtomicU32,
    names: AtomicU64,
    ids: [AtomicU64; 4],
}

/// In place of the names: there is no label. No name has such a number, for only some thousands are kept.
const NOTHING: u64 = u64::MAX;

impl Published {
    #[inline]
    pub(crate) fn set(&self, label: Option<Label>) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        match label {
            None => self.names.store(NOTHING, Ordering::Relaxed),
            Some(label) => {
                let names = u64::from(label.name.0) << 32 | u64::from(label.root_name.0);
                self.names.store(names, Ordering::Relaxed);
                let (high, low) = halves(label.trace_id);
                for (word, value) in self.ids.iter().zip([label.span_id, label.root_span_id, high, low]) {
                    word.store(value, Ordering::Relaxed);
                }
            }
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The label, if there is one and it could be read between two writes.
    pub(crate) fn get(&self) -> Option<Label> {
        for _ in 0..ATTEMPTS {
            let before = self.sequence.load(Ordering::Acquire);
            let names = self.names.load(Ordering::Relaxed);
            let [span_id, root_span_id, high, low] = self.ids.each_ref().map(|word| word.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                let half = |value: u64| NameId(u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default());
                return (before != 0 && names != NOTHING).then(|| Label {
                    name: half(names >> 32),
                    root_name: half(names),
                    span_id,
                    root_span_id,
                    trace_id: whole(high, low),
                });
            }
            std::hint::spin_loop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(of: u32) -> Label {
        let [name, root_name] = [NameId(of), NameId(of + 1)];
        let trace_id = u128::from(of) << 64 | u128::from(of);
        Label { name, root_name, span_id: of.into(), root_span_id: of.into(), trace_id }
    }

    #[test]
    fn readers_see_whole_labels_or_none() {
        let published = Published::default();
        assert_eq!(published.get(), None);
        published.set(Some(label(7)));
        assert_eq!(published.get(), Some(label(7)));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let seen = (0..200_000).filter_map(|_| published.get());
                seen.inspect(|seen| assert_eq!(*seen, label(seen.name.0), "torn")).count()
            });
            let mut next = 0;
            while !reader.is_finished() {
                published.set(Some(label(next % 1_000)));
                next += 1;
            }
            assert!(reader.join().unwrap() > 0);
        });
        published.set(None);
        assert_eq!(published.get(), None);
    }
}
