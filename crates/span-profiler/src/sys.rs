//! The operating system: timers, the signal handler, the walk over stacks. All `unsafe` code of the crate is below.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::*;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod unsupported;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) use unsupported::*;

mod clock;
#[cfg(test)]
pub(crate) mod counting;
#[cfg(feature = "heap")]
pub(crate) mod heap;
#[cfg(feature = "tasks")]
mod waker;

pub(crate) use clock::{boottime_ns, monotonic_ns};
#[cfg(feature = "tasks")]
pub(crate) use waker::{MAX_FRAMES, with_probe};
