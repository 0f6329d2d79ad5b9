//! One profile of a kind at a time: two would measure each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::problem::{Kind, Problem};

/// What is added to the time that a profile is taken, for turning addresses into names.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What can be taken, one at a time of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A CPU profile.
    Cpu,
    /// The heap in use.
    Heap,
    /// All allocations.
    Allocs,
    /// The tasks.
    Tasks,
    /// An execution trace.
    Execution,
}

impl What {
    const COUNT: usize = 5;

    /// The name in addresses, headers and metrics: Go's.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "profile",
            Self::Heap => "heap",
            Self::Allocs => "allocs",
            Self::Tasks => "goroutine",
            Self::Execution => "trace",
        }
    }
}

/// When what is being taken should be done.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    until: Arc<Mutex<[Option<Instant>; What::COUNT]>>,
}

/// The right to take one profile; given back when dropped, whatever the reason.
#[derive(Debug)]
pub(super) struct Taken {
    slots: Slots,
    what: What,
}

impl Slots {
    /// Takes the slot for about this long.
    ///
    /// # Errors
    /// The refusal, which says how long the other profile takes still.
    pub(super) fn take(&self, what: What, duration: Duration) -> Result<Taken, Problem> {
        let now = Instant::now();
        let slot = &mut self.lock()[what as usize];
        if let Some(until) = slot {
            let left = until.saturating_duration_since(now).as_secs_f64().ceil().max(1.0);
            let detail = format!(
                "another client takes a profile of the kind {} and needs about {left} s still: try again then",
                what.name()
            );
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and some 60")]
            return Err(Problem::new(Kind::ProfileRunning, detail).retry_after(left as u64));
        }
        *slot = Some(now + duration + AFTERWARDS);
        Ok(Taken { slots: self.clone(), what })
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Instant>; What::COUNT]> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slots.lock()[self.what as usize] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_until_it_is_dropped() {
        let slots = Slots::default();
        let cpu = slots.take(What::Cpu, Duration::from_secs(30)).unwrap();
        let refused = slots.take(What::Cpu, Duration::from_secs(1)).unwrap_err();
        assert_eq!(refused.kind(), Kind::ProfileRunning);
        assert!(refused.detail().contains("profile") && refused.detail().contains("31 s"), "{}", refused.detail());
        let _heap = slots.take(What::Heap, Duration::ZERO).unwrap();
        drop(cpu);
        slots.take(What::Cpu, Duration::ZERO).unwrap();
    }
}
