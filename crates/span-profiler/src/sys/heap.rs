//! jemalloc: its controls, its sampling hooks, and the tables that the hooks fill.
//!
//! # The protocol of the hooks
//!
//! jemalloc calls the hooks on the allocating or freeing thread, in the midst of `malloc`, `realloc` or `free`. Read in its 5.3.1:
//! - It holds none of its locks then (`prof_malloc_sample_object` and `prof_free_sampled_object` in `src/prof.c`), so a hook
//!   may take a lock. The order is: ours, then jemalloc's. Whoever holds ours must not allocate, because the allocation may
//!   be sampled and come back here; that is why the tables never grow and are copied out into memory reserved before.
//! - It counts the thread as re-entrant: what a hook would allocate is not sampled. The hooks allocate nothing.
//! - The object is not handed out yet, or not free yet, so its pointer cannot be somebody else's sample, but for one case: a
//!   reallocation frees the old memory before it tells the hook; see `heap::tables::live`.
//! - A thread that is past the destruction of its thread-local storage takes no samples, but its frees are told. The hooks use
//!   thread-local storage without destructors only.
//! - jemalloc takes its locks before a fork. The lock's own handlers do so with ours, earlier, because handlers of a fork that
//!   were registered later run first: the order stays.
//!
//! The signal handler of the CPU profiler may interrupt a hook. It neither allocates nor takes this lock.

use std::ffi::CStr;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), feature = "heap-conf"))]
mod conf;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod ctl;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod hooks;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod lock;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use {
    ctl::{SUPPORTED, facts, interval, is_global, number, purge, refresh, set_active, size},
    hooks::{install, probe, restore_backtrace, tables, uninstall},
};

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod unsupported;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) use unsupported::{
    SUPPORTED, facts, install, interval, is_global, number, probe, purge, refresh, restore_backtrace, set_active, size,
    tables, uninstall,
};

/// A control of jemalloc that failed, with the error number that it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CtlError {
    pub(crate) name: &'static CStr,
    pub(crate) code: i32,
}

/// What decides whether samples can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Rust's allocations are jemalloc's.
    pub(crate) global: bool,
    /// Built with profiling.
    pub(crate) built: bool,
    /// Profiling was configured before the first allocation.
    pub(crate) enabled: bool,
    /// Samples are taken already.
    pub(crate) active: bool,
    /// Hooks that are not ours are installed.
    pub(crate) foreign: bool,
    /// Bytes between two samples, on average, as a power of two.
    pub(crate) lg_interval: usize,
}

/// What the thread that looks whether the hooks work has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// No sample.
    Silent,
    /// A sample without the function that made it.
    Blind,
    /// A sample with the function that made it and its caller.
    Seen,
}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), feature = "heap-conf"))]
mod tests;
