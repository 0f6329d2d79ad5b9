//! What is known of the sampled allocations: which are live, and how much was allocated where.
//!
//! The tables never grow, because they are filled from inside of the allocator: everything is reserved by [`Tables::new`].
//! Memory of the reservation that was never used is not resident.

mod live;

use live::Live;

use super::weight::{Amount, Weigher};
use crate::names::NameId;
use crate::profile::Profile;

/// Live samples that are kept apart: at the default interval of 512 KiB they stand for 32 GiB in use.
pub(crate) const MAX_LIVE: usize = 65_536;

/// Places: distinct pairs of a stack and the names of spans. A service has some thousand distinct stacks that allocate; each
/// is seen under the few spans that reach it.
pub(crate) const MAX_PLACES: usize = 16_384;

/// Addresses of all stacks together, 64 for each place: 8 MiB at most.
pub(crate) const MAX_ADDRESSES: usize = MAX_PLACES * 64;

/// Frames of one stack; jemalloc's own limit unless it is configured otherwise (`opt.prof_bt_max`).
pub(crate) const MAX_FRAMES: usize = 128;

/// The place of everything that has none of its own.
const OTHER: u32 = 0;

/// Names of the span that an allocation was made in, zero outside of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    /// The innermost span.
    pub(crate) leaf: NameId,
    /// The outermost span of its trace in this process.
    pub(crate) root: NameId,
}

/// How much was allocated in one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    hash: u64,
    first: u32,
    frames: u32,
    pub(crate) names: Names,
    /// Since the start.
    pub(crate) allocated: Amount,
    /// Of it, what was not freed yet.
    pub(crate) in_use: Amount,
}

/// What did not fit, by reason, and how full the tables are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) samples: u64,
    pub(crate) live: usize,
    pub(crate) places: usize,
    pub(crate) addresses: usize,
    /// Samples whose memory in use is in `[other]`, because there were too many live ones.
    pub(crate) live_full: u64,
    /// Samples in `[other]` because there were too many places.
    pub(crate) places_full: u64,
    /// Samples in `[other]` because the stacks were too long together.
    pub(crate) addresses_full: u64,
    /// Frees of memory that was sampled before the start.
    pub(crate) unknown_frees: u64,
}

/// The tables themselves; used under one lock.
pub(crate) struct Tables {
    live: Live,
    /// Hash table over `places`: an index, zero if free. The place zero is not in it.
    index: Box<[u32]>,
    places: Vec<Place>,
    addresses: Vec<u64>,
    weigher: Weigher,
    /// Live samples that are not in `live`, but in the amount in use of `[other]`.
    overflowed: u64,
    counts: Counts,
    /// All that was ever allocated, and all of it that was freed.
    totals: [Amount; 2],
    limits: Limits,
}

/// The bounds, smaller ones in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) live: usize,
    pub(crate) places: usize,
    pub(crate) addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { live: MAX_LIVE, places: MAX_PLACES, addresses: MAX_ADDRESSES }
    }
}

impl Tables {
    /// Reserves everything. `interval`: bytes between two samples, on average.
    pub(crate) fn new(interval: u64, limits: Limits) -> Self {
        let mut places = Vec::with_capacity(limits.places);
        places.push(Place {
            hash: 0,
            first: 0,
            frames: 1,
            names: Names::default(),
            allocated: Amount::default(),
            in_use: Amount::default(),
        });
        let mut addresses = Vec::with_capacity(limits.addresses);
        addresses.push(Profile::OTHER);
        Self {
            live: Live::new(limits.live),
            // At most half full, so that searches stay short.
            index: vec![0; (limits.places * 2).next_power_of_two()].into_boxed_slice(),
            places,
            addresses,
            weigher: Weigher::new(interval),
            overflowed: 0,
            counts: Counts::default(),
            totals: [Amount::default(); 2],
            limits,
        }
    }

    /// A sampled allocation of `size` bytes (the size class) at `pointer`. Does not allocate.
    pub(crate) fn sample(&mut self, pointer: u64, size: u64, stack: &[u64], names: Names) {
        let amount = self.weigher.weigh(size);
        let place = self.place(stack, names);
        self.counts.samples += 1;
        self.totals[0] += amount;
        self.change(place, |place| place.allocated += amount);
        if self.live.insert(pointer, size, place) {
            self.change(place, |place| place.in_use += amount);
        } else {
            self.overflowed += 1;
            self.counts.live_full += 1;
            self.change(OTHER, |other| other.in_use += amount);
        }
    }

    /// A sampled allocation was freed. Does not allocate.
    pub(crate) fn free(&mut self, pointer: u64, size: u64) {
        let amount = self.weigher.weigh(size);
        if let Some(place) = self.live.remove(pointer, size) {
            self.totals[1] += amount;
            self.change(place, |place| place.in_use -= amount);
        } else if self.overflowed > 0 {
            self.overflowed -= 1;
            self.totals[1] += amount;
            self.change(OTHER, |other| other.in_use -= amount);
        } else {
            self.counts.unknown_frees += 1;
        }
    }

    fn change(&mut self, place: u32, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.places.get_mut(place as usize) {
            change(place);
        }
    }

    /// The index of a place, a new one if need be.
    fn place(&mut self, stack: &[u64], names: Names) -> u32 {
        let hash = hash(stack, names);
        let mask = self.index.len() - 1;
        let mut slot = fold(hash) & mask;
        loop {
            let found = self.index[slot];
            if found == 0 {
                break;
            }
            let place = &self.places[found as usize];
            if place.hash == hash && place.names == names && self.stack(place) == stack {
                return found;
            }
            slot = (slot + 1) & mask;
        }
        if self.places.len() >= self.limits.places {
            self.counts.places_full += 1;
            return OTHER;
        }
        if self.addresses.len() + stack.len() > self.limits.addresses {
            self.counts.addresses_full += 1;
            return OTHER;
        }
        let (Ok(index), Ok(first), Ok(frames)) =
            (u32::try_from(self.places.len()), u32::try_from(self.addresses.len()), u32::try_from(stack.len()))
        else {
            return OTHER;
        };
        self.addresses.extend_from_slice(stack);
        self.places.push(Place { hash, first, frames, names, allocated: Amount::default(), in_use: Amount::default() });
        self.index[slot] = index;
        index
    }

    /// The stack of a place.
    pub(crate) fn stack(&self, place: &Place) -> &[u64] {
        let first = place.first as usize;
        self.addresses.get(first..first + place.frames as usize).unwrap_or_default()
    }

    /// All places; they are only ever added.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What samples stand for since the start: all that was allocated, and all of it that was freed.
    pub(crate) fn totals(&self) -> [Amount; 2] {
        self.totals
    }

    /// How full the tables are.
    pub(crate) fn counts(&self) -> Counts {
        Counts { live: self.live.len(), places: self.places.len(), addresses: self.addresses.len(), ..self.counts }
    }

    /// Reserved bytes; those that were never used are not resident.
    pub(crate) fn bytes(&self) -> usize {
        self.live.bytes()
            + size_of_val(&*self.index)
            + self.places.capacity() * size_of::<Place>()
            + self.addresses.capacity() * size_of::<u64>()
    }
}

/// The multiplier of `FxHash`; addresses differ in few bits, which it spreads over the upper half.
const SPREAD: u64 = 0xf135_7aea_2e62_a9c5;

fn hash(stack: &[u64], names: Names) -> u64 {
    let names = u64::from(names.leaf.0) << 32 | u64::from(names.root.0);
    stack.iter().fold(names.wrapping_mul(SPREAD), |hash, address| (hash.rotate_left(5) ^ address).wrapping_mul(SPREAD))
}

/// The well-mixed half of a hash.
fn fold(hash: u64) -> usize {
    (hash >> 32) as usize
}

#[cfg(test)]
mod tests;
