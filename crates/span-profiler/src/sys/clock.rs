//! Clocks.

/// `CLOCK_MONOTONIC` in nanoseconds.
#[cfg(target_os = "linux")]
pub(crate) fn monotonic_ns() -> u64 {
    linux::read(libc::CLOCK_MONOTONIC)
}

/// `CLOCK_BOOTTIME` in nanoseconds: like the monotonic clock, but it goes on while the system sleeps.
#[cfg(target_os = "linux")]
pub(crate) fn boottime_ns() -> u64 {
    linux::read(libc::CLOCK_BOOTTIME)
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "the standard library does not tell the number of an instant")]

    pub(super) fn read(clock: libc::clockid_t) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes a timespec to a place that holds one. The clocks above exist on every supported kernel, so it
        // cannot fail.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        // Their types differ between systems; neither is negative.
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
    }
}

/// Nanoseconds since the first call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn monotonic_ns() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static BASE: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BASE.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the first call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn boottime_ns() -> u64 {
    monotonic_ns()
}
