//! The live samples: an open-addressing hash table without tombstones.

use super::{SPREAD, fold};

/// Pointer, size and place of one sample; a pointer of zero marks a free slot. Plain words, so that the zeroed table
/// comes from the system untouched.
type Slot = [u64; 3];

/// Samples by pointer and size.
///
/// The pointer alone is no key. A reallocation tells of the new sample before it tells that the old one is gone, and both may
/// have the same address (in place), or the old address may already be another thread's sample. Among equal keys the oldest
/// is removed first; linear probing keeps their order.
pub(super) struct Live {
    slots: Box<[Slot]>,
    len: usize,
    limit: usize,
}

impl Live {
    pub(super) fn new(limit: usize) -> Self {
        // At most half full, so that searches stay short.
        Self { slots: vec![[0; 3]; (limit * 2).next_power_of_two()].into_boxed_slice(), len: 0, limit }
    }

    /// False if there is no room.
    pub(super) fn insert(&mut self, pointer: u64, size: u64, place: u32) -> bool {
        if self.len >= self.limit || pointer == 0 {
            return false;
        }
        let mask = self.mask();
        let mut at = self.home(pointer);
        while self.slots[at][0] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = [pointer, size, u64::from(place)];
        self.len += 1;
        true
    }

    /// The place of the oldest sample with this pointer and size.
    pub(super) fn remove(&mut self, pointer: u64, size: u64) -> Option<u32> {
        let mask = self.mask();
        let mut at = self.home(pointer);
        loop {
            let [found, its_size, place] = self.slots[at];
            if found == 0 {
                return None;
            }
            if found == pointer && its_size == size {
                self.close(at);
                self.len -= 1;
                return u32::try_from(place).ok();
            }
            at = (at + 1) & mask;
        }
    }

    /// Moves later slots into the hole where their search would pass it (Knuth, volume 3, section 6.4, algorithm R).
    fn close(&mut self, mut hole: usize) {
        let mask = self.mask();
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let pointer = self.slots[at][0];
            if pointer == 0 {
                break;
            }
            let travelled = at.wrapping_sub(self.home(pointer)) & mask;
            if travelled >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
        }
        self.slots[hole] = [0; 3];
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Sampled memory starts at a page, so the low bits say nothing; the multiplication carries the others up.
    fn home(&self, pointer: u64) -> usize {
        fold(pointer.wrapping_mul(SPREAD)) & self.mask()
    }
}
