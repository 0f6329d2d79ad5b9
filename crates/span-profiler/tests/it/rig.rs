//! One profiler at a time, and work whose share is known.

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use span_profiler::{Profile, Sample};

/// SIGPROF has one owner in a process, and the tests of this one run side by side.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    cpu(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of this process.
pub(crate) fn process_cpu() -> Duration {
    cpu(libc::CLOCK_PROCESS_CPUTIME_ID)
}

#[expect(unsafe_code, reason = "the standard library has no CPU clock")]
fn cpu(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is valid.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Computes until this thread has used so much more CPU time.
#[inline(never)]
pub(crate) fn burn(time: Duration) {
    let end = thread_cpu() + time;
    let mut state = 1_u64;
    while thread_cpu() < end {
        for step in 0..20_000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
        }
    }
}

pub(crate) fn label<'a>(sample: &'a Sample, key: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(known, _)| *known == key).map(|(_, value)| &**value)
}

/// CPU nanoseconds of the samples that `wanted` takes.
pub(crate) fn cpu_of(profile: &Profile, wanted: impl Fn(&Sample) -> bool) -> i64 {
    profile.samples.iter().filter(|sample| wanted(sample)).map(|sample| sample.values[1]).sum()
}
