//! How much each sample stands for.

use std::ops::{AddAssign, SubAssign};

/// Fractions of an object: a sample of a large object stands for 1.02 objects, say. jemalloc keeps eighths; finer ones
/// cost nothing here, and 2^64 of these are still 1.8 × 10^16 objects.
const FRACTION_BITS: u32 = 10;

/// Objects and bytes that samples stand for. Integers, so that what is added and subtracted again leaves exactly zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    fractions: u64,
    bytes: u64,
}

impl Amount {
    /// Rounded to whole objects.
    pub(crate) fn objects(self) -> i64 {
        let rounded = self.fractions.saturating_add(1 << (FRACTION_BITS - 1)) >> FRACTION_BITS;
        i64::try_from(rounded).unwrap_or(i64::MAX)
    }

    /// In bytes.
    pub(crate) fn bytes(self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.fractions = self.fractions.saturating_add(other.fractions);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.fractions = self.fractions.saturating_sub(other.fractions);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// Turns the size of a sample into what it stands for.
///
/// jemalloc lets a Poisson process run over the allocated bytes, one event in `interval` on average, so an object of `size`
/// bytes is sampled with the probability 1 − exp(−size / interval), and a sample stands for the inverse: see `AdjustSamples`
/// in jemalloc's `jeprof` and `prof_unbias_map_init` in its `src/prof_data.c`, which counts as it is done here, sample by
/// sample, because the average size of a stack's samples, as `jeprof` uses it, is biased where sizes are mixed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weigher {
    interval: f64,
}

impl Weigher {
    pub(crate) fn new(interval: u64) -> Self {
        Self { interval: interval.max(1) as f64 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "casts from floats saturate; addresses end at 2^57")]
    pub(crate) fn weigh(self, size: u64) -> Amount {
        let size = size as f64;
        let probability = -(-size / self.interval).exp_m1();
        if probability <= 0.0 {
            return Amount::default();
        }
        Amount {
            fractions: (f64::from(1_u32 << FRACTION_BITS) / probability).round() as u64,
            bytes: (size / probability).round() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are jeprof's formula by hand (R = 524,288): 1 / (1 − e^(−s/R)).
    #[test]
    fn small_samples_stand_for_many_large_ones_for_one() {
        let weigher = Weigher::new(524_288);
        for (size, objects, bytes) in
            [(16, 32_769, 524_296), (1_000, 525, 524_788), (524_288, 2, 829_411), (16_777_216, 1, 16_777_216)]
        {
            let amount = weigher.weigh(size);
            assert_eq!((amount.objects(), amount.bytes()), (objects, bytes), "{size}");
        }
    }

    #[test]
    fn an_interval_of_one_byte_takes_nearly_every_object_as_it_is() {
        let amount = Weigher::new(1).weigh(64);
        assert_eq!((amount.objects(), amount.bytes()), (1, 64));
    }

    #[test]
    fn what_was_added_can_be_taken_away_without_rest() {
        let weigher = Weigher::new(524_288);
        let mut sum = Amount::default();
        for size in [8, 17, 4_096, 1 << 20] {
            sum += weigher.weigh(size);
        }
        for size in [4_096, 8, 1 << 20, 17] {
            sum -= weigher.weigh(size);
        }
        assert_eq!(sum, Amount::default());
    }
}
