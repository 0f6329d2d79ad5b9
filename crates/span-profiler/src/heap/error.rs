//! Why there is no heap profile.

use crate::sys::heap::{self as sys, CtlError, Facts};

/// Why heap profiling cannot start, or jemalloc cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeapError {
    /// Not on this system.
    #[error("heap profiles need Linux on x86-64 or aarch64: use another profiler here, or none")]
    Unsupported,
    /// Rust's allocations do not go through jemalloc.
    #[error(
        "jemalloc is not the global allocator of this program: add tikv-jemallocator to it and put `#[global_allocator] static \
         ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;` into its main.rs"
    )]
    NotGlobal,
    /// This jemalloc cannot profile.
    #[error(
        "jemalloc was built without profiling (config.prof is false): build tikv-jemalloc-sys with its feature `profiling`, or \
         take JEMALLOC_OVERRIDE away"
    )]
    NotBuilt,
    /// Profiling was not configured when the program started.
    #[error(
        "opt.prof is false, and jemalloc reads it before main only: build with the feature `heap-conf` of span-profiler, or start \
         the program with _RJEM_MALLOC_CONF={}",
        conf()
    )]
    Off,
    /// Too large an interval.
    #[error(
        "lg_prof_sample is {lg}, at most {max} is allowed (a sample in each 16 MiB): set lg_prof_sample:19 in malloc_conf"
    )]
    Interval {
        /// The interval as a power of two.
        lg: usize,
        /// The largest one.
        max: usize,
    },
    /// A [`Heap`](super::Heap) exists.
    #[error(
        "heap profiling runs already: clone the Heap that the first start returned, or drop all of its clones first"
    )]
    AlreadyStarted,
    /// Another profiler took jemalloc's hooks.
    #[error(
        "experimental.hooks.prof_sample or prof_sample_free of jemalloc is set by somebody else, and there is room for one: remove \
         the other heap profiler, or set its hooks to null first"
    )]
    ForeignHooks,
    /// Samples do not arrive.
    #[error(
        "jemalloc did not sample an allocation of {bytes} bytes: take prof_thread_active_init:false out of malloc_conf, and see \
         that thread.prof.active is true and that so much address space can be reserved"
    )]
    NotSampling {
        /// The size of the allocation.
        bytes: u64,
    },
    /// jemalloc refused.
    #[error(
        "jemalloc's control {name} failed with error number {code}: see mallctl in its manual, version 5.3 is expected"
    )]
    Control {
        /// The name of the control.
        name: String,
        /// The error number.
        code: i32,
    },
}

impl From<CtlError> for HeapError {
    fn from(error: CtlError) -> Self {
        Self::Control { name: error.name.to_string_lossy().into_owned(), code: error.code }
    }
}

fn conf() -> String {
    super::MALLOC_CONF.to_string_lossy().into_owned()
}

/// The largest interval, 16 MiB: the allocation that looks whether samples arrive takes 40 times as many addresses.
const MAX_LG_INTERVAL: usize = 24;

/// The numbers of an allocator that the program does not use would mislead.
pub(super) fn require_global() -> Result<(), HeapError> {
    require_support()?;
    if sys::is_global()? { Ok(()) } else { Err(HeapError::NotGlobal) }
}

pub(super) fn require_support() -> Result<(), HeapError> {
    if sys::SUPPORTED { Ok(()) } else { Err(HeapError::Unsupported) }
}

/// Whether profiling can start.
pub(super) fn check(facts: Facts) -> Result<(), HeapError> {
    match facts {
        Facts { global: false, .. } => Err(HeapError::NotGlobal),
        Facts { built: false, .. } => Err(HeapError::NotBuilt),
        Facts { enabled: false, .. } => Err(HeapError::Off),
        Facts { foreign: true, .. } => Err(HeapError::ForeignHooks),
        Facts { lg_interval: lg, .. } if lg > MAX_LG_INTERVAL => Err(HeapError::Interval { lg, max: MAX_LG_INTERVAL }),
        Facts { .. } => Ok(()),
    }
}
