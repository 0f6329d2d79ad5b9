//! The spans that a thread has entered, innermost last.
//!
//! Only the thread itself writes, and its signal handler may read between any two instructions. So each step is one store that
//! leaves the stack valid: an entry is written above the top before the top moves, and a span that is left out of order
//! is struck out in its place.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence};

use super::table::{Place, TABLE};

/// Nested spans that are known; deeper ones carry the label of the last that fits.
const DEPTH: usize = 64;

struct Entry {
    /// Zero when struck out; `tracing` gives no span this number.
    id: AtomicU64,
    owner: AtomicU32,
    index: AtomicU32,
}

struct Stack {
    depth: AtomicU32,
    entries: [Entry; DEPTH],
}

impl Stack {
    /// The depth of the last entry below `limit` that was not struck out.
    fn live(&self, limit: usize) -> u32 {
        let last = self.entries[..limit].iter().rposition(|entry| entry.id.load(Ordering::Relaxed) != 0);
        last.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(0)
    }
}

thread_local! {
    // Constant and without a destructor: a handler may read it at any time of a thread's life.
    static STACK: Stack = const {
        Stack {
            depth: AtomicU32::new(0),
            entries: [const { Entry { id: AtomicU64::new(0), owner: AtomicU32::new(0), index: AtomicU32::new(0) } }; DEPTH],
        }
    };
}

/// Enters a span.
#[inline]
pub(super) fn push(place: Place) {
    STACK.with(|stack| {
        let depth = stack.depth.load(Ordering::Relaxed);
        if let Some(entry) = stack.entries.get(depth as usize) {
            entry.owner.store(place.owner, Ordering::Relaxed);
            entry.index.store(place.index, Ordering::Relaxed);
            entry.id.store(place.id, Ordering::Relaxed);
            compiler_fence(Ordering::Release);
        } else {
            TABLE.count_lost();
        }
        stack.depth.store(depth.saturating_add(1), Ordering::Relaxed);
    });
}

/// Leaves a span, the innermost entry of it.
#[inline]
pub(super) fn pop(id: u64, owner: u32) {
    STACK.with(|stack| {
        let depth = stack.depth.load(Ordering::Relaxed);
        let known = (depth as usize).min(DEPTH);
        let is_it =
            |entry: &Entry| entry.id.load(Ordering::Relaxed) == id && entry.owner.load(Ordering::Relaxed) == owner;
        match stack.entries[..known].iter().rposition(is_it) {
            // Those below that were struck out go with it.
            Some(at) if at + 1 == depth as usize => stack.depth.store(stack.live(at), Ordering::Relaxed),
            Some(at) => stack.entries[at].id.store(0, Ordering::Relaxed),
            // One of those that did not fit. A span that was never entered cannot be left.
            None if depth as usize > DEPTH + 1 => stack.depth.store(depth - 1, Ordering::Relaxed),
            None if depth as usize == DEPTH + 1 => stack.depth.store(stack.live(DEPTH), Ordering::Relaxed),
            None => {}
        }
    });
}

/// The innermost span that this thread is in. Async-signal-safe.
#[inline]
pub(super) fn top() -> Option<Place> {
    STACK.with(|stack| {
        let depth = stack.depth.load(Ordering::Relaxed);
        compiler_fence(Ordering::Acquire);
        let entries = stack.entries.get(..(depth as usize).min(DEPTH))?;
        entries.iter().rev().find_map(|entry| {
            let id = entry.id.load(Ordering::Relaxed);
            (id != 0).then(|| Place {
                id,
                owner: entry.owner.load(Ordering::Relaxed),
                index: entry.index.load(Ordering::Relaxed),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: u64) -> Place {
        Place { id, owner: 1, index: 7 }
    }

    fn top_id() -> Option<u64> {
        top().map(|place| place.id)
    }

    #[test]
    fn spans_are_left_in_any_order() {
        (1..=4).for_each(|id| push(place(id)));
        pop(2, 1);
        assert_eq!(top_id(), Some(4));
        pop(4, 1);
        assert_eq!(top_id(), Some(3));
        pop(3, 1);
        assert_eq!(top_id(), Some(1));
        pop(1, 1);
        assert_eq!(top_id(), None);
        pop(1, 1);
        assert_eq!(top_id(), None);
    }

    #[test]
    fn a_span_that_is_entered_twice_is_left_twice() {
        for id in [1, 2, 1] {
            push(place(id));
        }
        pop(1, 1);
        assert_eq!(top_id(), Some(2));
        pop(2, 1);
        assert_eq!(top_id(), Some(1));
        pop(1, 1);
        assert_eq!(top_id(), None);
    }

    #[test]
    fn deeper_spans_than_fit_are_counted() {
        let deep = DEPTH as u64 + 10;
        (1..=deep).for_each(|id| push(place(id)));
        assert_eq!(top_id(), Some(DEPTH as u64));
        for id in (2..=deep).rev() {
            pop(id, 1);
        }
        assert_eq!(top_id(), Some(1));
        pop(1, 1);
        assert_eq!(top_id(), None);
    }

    #[test]
    fn spans_that_do_not_fit_are_left_in_any_order() {
        let deep = DEPTH as u64 + 1;
        (1..=deep).for_each(|id| push(place(id)));
        pop(DEPTH as u64, 1);
        pop(deep, 1);
        assert_eq!(top_id(), Some(DEPTH as u64 - 1));
        for id in (1..DEPTH as u64).rev() {
            pop(id, 1);
        }
        push(place(1));
        assert_eq!(top_id(), Some(1), "the thread is not lost");
        pop(1, 1);
    }

    #[test]
    fn equal_numbers_of_two_subscribers_are_two_spans() {
        push(place(1));
        push(Place { owner: 2, ..place(1) });
        pop(1, 1);
        assert_eq!(top().map(|place| place.owner), Some(2));
        pop(1, 2);
        assert_eq!(top_id(), None);
    }
}
