//! Linux on x86-64 and aarch64.
//!
//! # The protocol of the signal handler
//!
//! Every thread has a POSIX timer on its own CPU clock ([`timer`]), which sends it SIGPROF. The handler ([`handler`]) runs
//! on the thread whose CPU time was spent and does only what is async-signal-safe: it reads thread-local storage that is
//! initialised at compile time and has no destructor, follows frame pointers through memory that it knows to be readable
//! ([`walk`]), and writes into a slot of a ring whose slots are plain atomics. It takes no lock, allocates nothing, makes no
//! system call unless it walks a foreign stack, keeps `errno`, and has no path that can panic.
//!
//! Who may touch what:
//! - the ring: handlers of all threads write, one drain at a time reads (a lock among readers only);
//! - a thread's label stack: its own thread writes, its own handler reads;
//! - the label table: threads write entries that they own, handlers read and check afterwards that the entry is still the same;
//! - the rate and the bounds of a thread's stack: written before the timer is armed, read by handlers.
//!
//! The handler is installed once and stays, because a signal that comes late would end the process under the default action;
//! with the rate at zero it returns at once.

mod check;
mod handler;
mod thread;
mod timer;
mod walk;

pub(crate) use check::has_frame_pointers;
pub(crate) use handler::{Foreign, install, set_period};
pub(crate) use thread::{ThreadTimers, arm_this_thread, check_timers, timers};
#[cfg(feature = "heap")]
pub(crate) use walk::walk;
pub(crate) use walk::{frame_address, walk_below};

/// Whether CPU profiles can be taken here.
pub(crate) const SUPPORTED: bool = true;
