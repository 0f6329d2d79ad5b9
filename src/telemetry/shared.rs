//! Readings that are taken once for all instruments of a collection.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A collection asks its instruments within this time; the next one comes later.
const SHARED_FOR: Duration = Duration::from_millis(100);

/// The last reading of something. A failed reading leaves a gap in the series, never a zero.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Shared<T> {
    /// Nothing read yet.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The last reading if it is fresh, or else a new one.
    pub(super) fn get(&self, read: impl FnOnce() -> Option<T>) -> Option<T> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(read, _)| read.elapsed() > SHARED_FOR) {
            *last = read().map(|reading| (Instant::now(), reading));
        }
        last.as_ref().map(|(_, reading)| reading.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_collection_reads_once_and_the_next_one_again() {
        let shared = Shared::new();
        assert_eq!(shared.get(|| Some(1)), Some(1));
        // Unless this thread was kept from running in between.
        assert!(matches!(shared.get(|| Some(2)), Some(1 | 2)));
        std::thread::sleep(2 * SHARED_FOR);
        assert_eq!(shared.get(|| Some(3)), Some(3));
        std::thread::sleep(2 * SHARED_FOR);
        assert_eq!(shared.get(|| None), None, "a failed reading is a gap");
        assert_eq!(shared.get(|| Some(4)), Some(4));
    }
}
