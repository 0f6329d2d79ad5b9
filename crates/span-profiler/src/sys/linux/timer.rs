//! A POSIX timer on the CPU clock of one thread, which signals that thread.
#![expect(unsafe_code, reason = "calls the kernel")]

use std::io;
use std::time::Duration;

/// A timer; deleted when dropped.
#[derive(Debug)]
pub(super) struct Timer(libc::c_int);

/// What the kernel takes for a `struct sigevent` that signals a thread; the C libraries disagree about its name.
#[repr(C)]
struct SigEvent {
    value: usize,
    signal: libc::c_int,
    notify: libc::c_int,
    thread: libc::c_int,
    padding: [libc::c_int; 11],
}

impl Timer {
    /// A timer that is not yet set, for a thread of this process.
    ///
    /// # Errors
    /// EINVAL when there is no such thread, EAGAIN when the process may have no more timers (`ulimit -i`).
    pub(super) fn new(tid: i32) -> io::Result<Self> {
        let mut event =
            SigEvent { value: 0, signal: libc::SIGPROF, notify: libc::SIGEV_THREAD_ID, thread: tid, padding: [0; 11] };
        let mut id: libc::c_int = 0;
        // The kernel's own call: the C libraries add nothing for this kind of timer.
        // SAFETY: both pointers are valid for the call, and the structure has the kernel's layout of 64 bytes.
        let result = unsafe { libc::syscall(libc::SYS_timer_create, cpu_clock(tid), &raw mut event, &raw mut id) };
        if result == 0 { Ok(Self(id)) } else { Err(io::Error::last_os_error()) }
    }

    /// Signals after `first` of the thread's CPU time and then every `period`; a period of zero stops it.
    ///
    /// # Errors
    /// ESRCH when the thread is gone.
    pub(super) fn set(&self, first: Duration, period: Duration) -> io::Result<()> {
        // Zero would disarm, so a first signal at once is one after a nanosecond.
        let first = if period.is_zero() { first } else { first.max(Duration::from_nanos(1)) };
        let value = libc::itimerspec { it_interval: timespec(period), it_value: timespec(first) };
        let none = std::ptr::null_mut::<libc::itimerspec>();
        // SAFETY: the timer exists as long as `self`, and the value is valid for the call.
        let result = unsafe { libc::syscall(libc::SYS_timer_settime, self.0, 0, &raw const value, none) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Whether it will signal again; the timer of a thread that ended will not (kernel: `posix_cpu_timer_get`).
    pub(super) fn is_armed(&self) -> bool {
        let mut value = libc::itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(Duration::ZERO) };
        // SAFETY: the timer exists as long as `self`, and the value is a valid place.
        let result = unsafe { libc::syscall(libc::SYS_timer_gettime, self.0, &raw mut value) };
        result == 0 && (value.it_value.tv_sec != 0 || value.it_value.tv_nsec != 0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer exists and is not used again.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

/// The CPU clock of a thread (`include/linux/posix-timers_types.h`: `MAKE_THREAD_CPUCLOCK` with `CPUCLOCK_SCHED`).
fn cpu_clock(tid: i32) -> libc::clockid_t {
    const PER_THREAD: i32 = 4;
    const SCHED: i32 = 2;
    (!tid << 3) | PER_THREAD | SCHED
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_knows_whether_it_will_signal() {
        // An hour of CPU time never passes here.
        let timer = Timer::new(super::super::thread::tid()).unwrap();
        assert!(!timer.is_armed());
        timer.set(Duration::from_secs(3600), Duration::from_secs(3600)).unwrap();
        assert!(timer.is_armed());
        timer.set(Duration::ZERO, Duration::ZERO).unwrap();
        assert!(!timer.is_armed());
    }

    #[test]
    fn the_timer_of_a_thread_that_ended_will_not() {
        let timer = std::thread::spawn(|| {
            let timer = Timer::new(super::super::thread::tid()).unwrap();
            timer.set(Duration::from_secs(3600), Duration::from_secs(3600)).unwrap();
            timer
        });
        let timer = timer.join().unwrap();
        // The thread is joined before the kernel has buried it.
        let gone = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            !timer.is_armed()
        });
        assert!(gone);
    }

    #[test]
    fn a_thread_that_is_not_ours_is_refused() {
        assert_eq!(Timer::new(1 << 29).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
