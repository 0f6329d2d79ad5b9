//! The way of a sample from the signal handler to the thread that keeps it.
//!
//! A bounded queue after Vyukov (1024cores.net, "Bounded MPMC queue"): a producer takes a ticket, writes into the slot of
//! that ticket, and hands the slot over by its turn. Everything is an atomic, so a handler may interrupt anything. When the
//! ring is full the sample is lost and counted; nobody waits.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::labels::Label;
use crate::names::NameId;

/// Frames of a sample; what lies beyond is cut at the root's end. Async stacks of a web service have 60 to 100.
pub(crate) const MAX_FRAMES: usize = 128;

/// Slots. The drain comes at least every 50 ms: room for 20,000 signals a second, 100 busy threads at twice the default rate
/// of 99 Hz; while a profile is taken it comes every 5 ms. 1.1 MiB, of which a page is used when a sample first comes there.
const SLOTS: usize = 1_024;

/// How often a producer tries again after another one took its ticket. More means that 16 threads were
/// signalled in the same nanoseconds.
const TRIES: usize = 16;

/// The ring of this process: the signal is one, too.
pub(crate) static RING: Ring = Ring::over(&RING_SLOTS);

static RING_SLOTS: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// A sample outside of the ring.
#[derive(Debug, Clone)]
pub(crate) struct RawSample {
    /// Timer expiries that it stands for.
    pub(crate) count: u64,
    /// CPU time that each of them stands for, in nanoseconds.
    pub(crate) period: u64,
    pub(crate) label: Option<Label>,
    /// The leaf first.
    pub(crate) stack: Vec<u64>,
    /// Whether callers are missing.
    pub(crate) truncated: bool,
}

struct Slot {
    /// `2 * lap` while it waits for the producer of that lap, one more while it waits for the drain.
    turn: AtomicUsize,
    count: AtomicU64,
    period: AtomicU64,
    labelled: AtomicBool,
    name: AtomicU32,
    root_name: AtomicU32,
    span_id: AtomicU64,
    root_span_id: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    depth: AtomicUsize,
    truncated: AtomicBool,
    frames: [AtomicU64; MAX_FRAMES],
}

pub(crate) struct Ring {
    slots: &'static [Slot; SLOTS],
    /// The next ticket for producers.
    tail: AtomicUsize,
    /// The next ticket to drain; the lock admits one drain at a time.
    head: Mutex<usize>,
    lost: AtomicU64,
}

/// The stack of a sample that is being written.
pub(crate) struct Frames<'a> {
    slot: &'a Slot,
    depth: usize,
}

impl Frames<'_> {
    /// Adds a caller; false when there is no room, also for further ones.
    pub(crate) fn add(&mut self, address: u64) -> bool {
        let Some(place) = self.slot.frames.get(self.depth) else { return false };
        place.store(address, Ordering::Relaxed);
        self.depth += 1;
        true
    }

    /// Notes that there were more callers.
    pub(crate) fn truncate(&mut self) {
        self.slot.truncated.store(true, Ordering::Relaxed);
    }
}

impl Ring {
    const fn over(slots: &'static [Slot; SLOTS]) -> Self {
        Self { slots, tail: AtomicUsize::new(0), head: Mutex::new(0), lost: AtomicU64::new(0) }
    }

    /// Adds a sample whose stack `write` writes. Async-signal-safe.
    pub(crate) fn push(&self, count: u64, period: u64, label: Option<Label>, write: impl FnOnce(&mut Frames<'_>)) {
        let Some((slot, lap)) = self.claim() else {
            self.lost.fetch_add(count, Ordering::Relaxed);
            return;
        };
        slot.count.store(count, Ordering::Relaxed);
        slot.period.store(period, Ordering::Relaxed);
        slot.labelled.store(label.is_some(), Ordering::Relaxed);
        if let Some(label) = label {
            slot.name.store(label.name.0, Ordering::Relaxed);
            slot.root_name.store(label.root_name.0, Ordering::Relaxed);
            slot.span_id.store(label.span_id, Ordering::Relaxed);
            slot.root_span_id.store(label.root_span_id, Ordering::Relaxed);
            let (high, low) = halves(label.trace_id);
            slot.trace_high.store(high, Ordering::Relaxed);
            slot.trace_low.store(low, Ordering::Relaxed);
        }
        slot.truncated.store(false, Ordering::Relaxed);
        let mut frames = Frames { slot, depth: 0 };
        write(&mut frames);
        slot.depth.store(frames.depth, Ordering::Relaxed);
        slot.turn.store(2 * lap + 1, Ordering::Release);
    }

    fn claim(&self) -> Option<(&Slot, usize)> {
        let mut ticket = self.tail.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let (slot, lap) = (self.slots.get(ticket % SLOTS)?, ticket / SLOTS);
            let turn = slot.turn.load(Ordering::Acquire);
            if turn == 2 * lap {
                let next = ticket.wrapping_add(1);
                match self.tail.compare_exchange_weak(ticket, next, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Some((slot, lap)),
                    Err(now) => ticket = now,
                }
            } else if turn < 2 * lap {
                // The drain has not come around yet.
                return None;
            } else {
                ticket = self.tail.load(Ordering::Relaxed);
            }
        }
        None
    }

    /// Hands the samples that are there to `keep`; `sample` is where they pass through.
    pub(crate) fn drain(&self, sample: &mut RawSample, mut keep: impl FnMut(&RawSample)) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        // At most one round: producers could fill it for ever.
        for _ in 0..SLOTS {
            let (slot, lap) = (&self.slots[*head % SLOTS], *head / SLOTS);
            if slot.turn.load(Ordering::Acquire) != 2 * lap + 1 {
                return;
            }
            slot.read(sample);
            slot.turn.store(2 * lap + 2, Ordering::Release);
            *head += 1;
            keep(sample);
        }
    }

    /// Timer expiries whose samples found no room, since the process began.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            turn: AtomicUsize::new(0),
            count: AtomicU64::new(0),
            period: AtomicU64::new(0),
            labelled: AtomicBool::new(false),
            name: AtomicU32::new(0),
            root_name: AtomicU32::new(0),
            span_id: AtomicU64::new(0),
            root_span_id: AtomicU64::new(0),
            trace_high: AtomicU64::new(0),
            trace_low: AtomicU64::new(0),
            depth: AtomicUsize::new(0),
            truncated: AtomicBool::new(false),
            frames: [const { AtomicU64::new(0) }; MAX_FRAMES],
        }
    }

    fn read(&self, sample: &mut RawSample) {
        sample.count = self.count.load(Ordering::Relaxed);
        sample.period = self.period.load(Ordering::Relaxed);
        sample.label = self.labelled.load(Ordering::Relaxed).then(|| Label {
            name: NameId(self.name.load(Ordering::Relaxed)),
            root_name: NameId(self.root_name.load(Ordering::Relaxed)),
            span_id: self.span_id.load(Ordering::Relaxed),
            root_span_id: self.root_span_id.load(Ordering::Relaxed),
            trace_id: whole(self.trace_high.load(Ordering::Relaxed), self.trace_low.load(Ordering::Relaxed)),
        });
        sample.truncated = self.truncated.load(Ordering::Relaxed);
        let depth = self.depth.load(Ordering::Relaxed);
        sample.stack.clear();
        sample.stack.extend(self.frames.iter().take(depth).map(|frame| frame.load(Ordering::Relaxed)));
    }
}

impl RawSample {
    pub(crate) fn empty() -> Self {
        Self { count: 0, period: 0, label: None, stack: Vec::with_capacity(MAX_FRAMES), truncated: false }
    }
}

/// The upper and the lower half of a trace id: no atomic holds all of it.
pub(crate) fn halves(trace_id: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves are wanted")]
    ((trace_id >> 64) as u64, trace_id as u64)
}

/// What [`halves`] took apart.
pub(crate) fn whole(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests;
