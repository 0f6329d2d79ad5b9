//! Every other system: the crate compiles and says that it can do nothing.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether CPU profiles can be taken here.
pub(crate) const SUPPORTED: bool = false;

/// Somebody else handles SIGPROF.
#[derive(Debug)]
pub(crate) struct Foreign;

/// No timers.
#[derive(Debug)]
pub(crate) struct ThreadTimers;

static TIMERS: Mutex<Option<ThreadTimers>> = Mutex::new(None);

impl ThreadTimers {
    pub(crate) fn start() {}

    pub(crate) fn stop() {}

    pub(crate) fn set_period(&mut self, _: Duration) {}

    pub(crate) fn scan(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn threads(&self) -> usize {
        0
    }

    pub(crate) fn failed(&self) -> usize {
        0
    }
}

pub(crate) fn timers() -> MutexGuard<'static, Option<ThreadTimers>> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn arm_this_thread() {}

pub(crate) fn check_timers() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn install() -> io::Result<Result<(), Foreign>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn set_period(_: u64) {}

pub(crate) fn has_frame_pointers() -> bool {
    false
}

/// No stack can be followed here.
#[cfg(feature = "heap")]
pub(crate) fn walk(_: &mut [u64]) -> usize {
    0
}

/// No stack can be followed here.
pub(crate) fn walk_below(_: usize, _: &mut [u64]) -> usize {
    0
}

/// No frame has an address here.
pub(crate) fn frame_address() -> usize {
    0
}
