//! Which record of a bucket becomes the exemplar: the first one of each window.
//!
//! # Protocol
//!
//! A [`Window`] is a counter that starts at 1 and only grows. Each bucket has one [`Slot`], which holds the number of
//! the last window that it was claimed in, 0 for never. A record may claim a slot whose number is smaller than the
//! window it read; one compare-and-swap decides between threads, so a slot has at most one claim per window. A thread
//! that read an old window can only lose to a newer claim, never undo it, because the number never shrinks.
//!
//! Nothing else is published through these atomics: the winner hands its exemplar over under the lock of the waiting
//! room. `Relaxed` is therefore enough, and the record that finds its slot taken, which is nearly every one, pays for
//! two loads of cache lines that hardly ever change.
//!
//! First-wins rather than last-wins or a uniform sample, because a winner must mark its span while that span is still
//! open: a policy that replaces its choice marks a span per record, and the tail sampler keeps every marked trace.

use crate::sync::{AtomicU64, Ordering};

/// The number of the current window, alone on its cache line: every record reads it, and its neighbours are written to.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Window(AtomicU64);

impl Window {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    #[inline]
    pub(crate) fn current(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Opens the next window: every slot can be claimed once more.
    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The claim of one bucket.
#[derive(Debug)]
pub(crate) struct Slot(AtomicU64);

impl Slot {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn is_taken(&self, window: u64) -> bool {
        self.0.load(Ordering::Relaxed) >= window
    }

    /// True for exactly one caller per window.
    pub(crate) fn claim(&self, window: u64) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |claimed| (claimed < window).then_some(window))
            .is_ok()
    }
}

#[cfg(all(test, feature = "__loom"))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::{Mutex, lock};

    #[test]
    fn loom_one_claim_per_window_whatever_the_interleaving() {
        loom::model(|| {
            let slot = Arc::new(Slot::new());
            let claims: Vec<_> = (0..2)
                .map(|_| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || u32::from(slot.claim(1)))
                })
                .collect();
            let won: u32 = u32::from(slot.claim(1)) + claims.into_iter().map(|t| t.join().unwrap()).sum::<u32>();
            assert_eq!(won, 1);
        });
    }

    #[test]
    fn loom_a_late_claim_never_reopens_a_newer_window() {
        loom::model(|| {
            let slot = Arc::new(Slot::new());
            let window = Arc::new(Window::new());
            let picked = Arc::new(Mutex::new(Vec::new()));
            let record = |slot: Arc<Slot>, window: Arc<Window>, picked: Arc<Mutex<Vec<u64>>>| {
                move || {
                    let current = window.current();
                    if !slot.is_taken(current) && slot.claim(current) {
                        lock(&picked).push(current);
                    }
                }
            };
            let other = thread::spawn(record(Arc::clone(&slot), Arc::clone(&window), Arc::clone(&picked)));
            window.advance();
            record(Arc::clone(&slot), Arc::clone(&window), Arc::clone(&picked))();
            other.join().unwrap();
            let mut windows = lock(&picked).clone();
            assert!(slot.is_taken(2), "the record after the window opened finds its slot free, or taken in it");
            let total = windows.len();
            windows.sort_unstable();
            windows.dedup();
            assert_eq!(windows.len(), total, "no window was claimed twice: {windows:?}");
        });
    }
}
