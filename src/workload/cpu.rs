//! The loop that costs CPU time and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Iterations between two looks at the stop flag: some 10 µs, so a cancelled request is free soon and the look is free.
const STRIDE: u64 = 4_096;

/// Starts the state; any odd constant would do (this one is 2^64 divided by the golden ratio).
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The 64-bit FNV prime.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Tells a running loop that nobody waits for it any more.
#[derive(Debug, Clone)]
pub struct Stop(Arc<AtomicBool>);

/// Stops the loop when it is dropped.
#[derive(Debug)]
pub struct Stopper(Arc<AtomicBool>);

impl Stop {
    /// A flag, and what raises it when dropped.
    #[must_use]
    pub fn pair() -> (Self, Stopper) {
        let flag = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&flag)), Stopper(flag))
    }

    fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The checksum of `iterations`: with the state starting at `SEED`, each iteration `i` (from 0) does
/// `state = (state ^ i) * PRIME; state = state ^ (state >> 32)`, modulo 2^64. Each step needs the one before, so the loop can
/// neither be skipped nor run in parallel.
///
/// # Errors
/// The number of iterations that were done, when it was stopped before the last.
// With a frame of its own, so that a profile names it.
#[inline(never)]
pub fn checksum(iterations: u64, stop: &Stop) -> Result<u64, u64> {
    let mut state = SEED;
    let mut next = 0;
    while next < iterations {
        if stop.raised() {
            return Err(next);
        }
        let end = iterations.min(next + STRIDE);
        for i in next..end {
            state = (state ^ i).wrapping_mul(PRIME);
            state ^= state >> 32;
        }
        next = end;
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_inputs_give_equal_checksums_and_others_do_not() {
        let (stop, _stopper) = Stop::pair();
        let of = |iterations| checksum(iterations, &stop);
        assert_eq!(of(0), Ok(SEED));
        assert_eq!(of(20_000), of(20_000));
        // Fixed, so that answers can be compared across versions.
        assert_eq!(
            of(1),
            Ok({
                let s = SEED.wrapping_mul(PRIME);
                s ^ s >> 32
            })
        );
        let mut seen: Vec<_> = (0..10_000).map(of).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn a_loop_whose_request_is_gone_stops() {
        // On a busy machine the thread may not have begun after the first of these times.
        let begun = (0..10).any(|doubled| {
            let (stop, stopper) = Stop::pair();
            let running = std::thread::spawn(move || checksum(u64::MAX, &stop));
            std::thread::sleep(std::time::Duration::from_millis(20 << doubled));
            drop(stopper);
            let done = running.join().unwrap().unwrap_err();
            assert!(done.is_multiple_of(STRIDE), "{done}");
            done > 0
        });
        assert!(begun);
    }
}
