//! Heap profiles: which code, in which span, allocates and which keeps memory.
//!
//! jemalloc samples allocations, on average one in 512 KiB, and tells of each sampled one when it comes and when it goes. From
//! that this module keeps its own tables: memory in use and memory allocated, per stack and names of spans. A profile has Go's
//! four sample types: `alloc_objects`, `alloc_space`, `inuse_objects`, `inuse_space`.
//!
//! A program needs three things:
//! - the global allocator:
//!   `#[global_allocator] static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;`
//! - the feature `heap-conf` of this crate, which configures jemalloc with [`MALLOC_CONF`] before `main`, or the same settings
//!   in its own `malloc_conf` or in the variable `_RJEM_MALLOC_CONF`;
//! - [`start`], which begins to sample. What was allocated earlier is not in the profile.
//!
//! # Cost
//!
//! Configured but not started it costs 1 to 2 ns for an allocation and its free. Each sample costs 4 µs: at the default interval a
//! program that allocates 1 GiB in a second has 2,048 of them, 0.8 % of one core. A smaller interval is more exact and
//! costs more, in proportion. The bench `heap` has the figures.
//!
//! # Accuracy
//!
//! A value that stands on `n` samples has a relative standard error of about 1/√n: of 100 MiB in small objects, 7 %.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::profile::Profile;
use crate::sys::heap as sys;

mod allocator;
mod error;
mod export;
pub(crate) mod tables;
mod weight;

pub use allocator::{AllocatorStats, Totals};
pub use error::HeapError;

/// The configuration that jemalloc needs before `main`: profiling possible, not active, and one sample in 2^19 bytes.
pub const MALLOC_CONF: &CStr = c"prof:true,prof_active:false,lg_prof_sample:19";

/// How jemalloc's samples get their stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwinder {
    /// This crate's walk over frame pointers.
    FramePointers,
    /// jemalloc's own, which reads unwind tables and is some ten times slower; chosen where jemalloc or the program was built
    /// without frame pointers.
    Jemalloc,
}

/// The tables and what did not fit into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Bytes reserved for the tables. What was never used of them is not resident.
    pub table_bytes: usize,
    /// Samples since the start.
    pub samples: u64,
    /// Samples whose memory is in use.
    pub live: usize,
    /// Distinct pairs of a stack and the names of spans.
    pub places: usize,
    /// Samples whose memory in use is counted in `[other]`: more than 65,536 were live.
    pub other_live: u64,
    /// Samples that are counted in `[other]` altogether: more than 16,384 distinct pairs of stack and names, or
    /// more than 1,048,576 addresses in all stacks.
    pub other_places: u64,
    /// Freed samples of the time before the start, or of the time in which the hooks were away.
    pub unknown_frees: u64,
    /// Bytes between two samples, on average.
    pub interval: u64,
    /// How the samples get their stacks.
    pub unwinder: Unwinder,
}

/// Heap profiling that runs until the last clone of this is dropped.
///
/// Sampling stops then, but frees are still followed, so that memory in use is right when [`start`] is called again.
#[derive(Debug, Clone)]
pub struct Heap {
    running: Arc<Running>,
}

/// What is known of the sampling that runs.
#[derive(Debug, Clone, Copy)]
struct Session {
    interval: u64,
    start: SystemTime,
    instant: Instant,
    unwinder: Unwinder,
}

#[derive(Debug)]
struct Running {
    session: Session,
    /// Whether samples were taken before the start, by others.
    was_active: bool,
}

/// One at a time; the first session's times hold for the later ones too, because the tables stay.
static STATE: Mutex<State> = Mutex::new(State { running: false, session: None });

struct State {
    running: bool,
    session: Option<Session>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to sample allocations.
///
/// # Errors
/// If jemalloc is not the global allocator or not configured for profiling, if profiling runs already, or if somebody else
/// uses jemalloc's hooks.
pub fn start() -> Result<Heap, HeapError> {
    let mut state = state();
    if state.running {
        return Err(HeapError::AlreadyStarted);
    }
    error::require_support()?;
    let facts = sys::facts()?;
    error::check(facts)?;
    let interval = sys::interval()?;
    let session = begin(interval, facts.active, state.session)?;
    state.session = Some(session);
    state.running = true;
    Ok(Heap { running: Arc::new(Running { session, was_active: facts.active }) })
}

fn begin(interval: u64, was_active: bool, earlier: Option<Session>) -> Result<Session, HeapError> {
    let limits = tables::Limits::default();
    sys::install(interval, limits)?;
    let session = sys::set_active(true).map_err(HeapError::from).and_then(|()| match earlier {
        Some(earlier) => Ok(earlier),
        None => find_unwinder(allocate, interval).map(|unwinder| Session {
            interval,
            start: SystemTime::now(),
            instant: Instant::now(),
            unwinder,
        }),
    });
    if session.is_err() {
        sys::set_active(was_active)?;
        sys::uninstall()?;
    }
    session
}

/// Looks at the stack of one sample, first with frame pointers, then as jemalloc does it.
pub(crate) fn find_unwinder(allocate: fn(u64), interval: u64) -> Result<Unwinder, HeapError> {
    /// An object of so many intervals is not sampled once in e^40 times.
    const INTERVALS: u64 = 40;
    let size = interval.saturating_mul(INTERVALS);
    match sys::probe(allocate, size) {
        sys::Probe::Seen => Ok(Unwinder::FramePointers),
        sys::Probe::Blind => {
            sys::restore_backtrace()?;
            Ok(Unwinder::Jemalloc)
        }
        sys::Probe::Silent => Err(HeapError::NotSampling { bytes: size }),
    }
}

/// Memory that is never touched, so that only addresses are spent.
#[inline(never)]
fn allocate(size: u64) {
    let mut memory = Vec::<u8>::new();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // Without memory there is no sample, which is told.
    let _ = std::hint::black_box(&mut memory).try_reserve_exact(size);
    drop(std::hint::black_box(memory));
}

impl Heap {
    /// What was allocated since the first [`start`] while sampling ran, and what of it is in use now.
    ///
    /// Memory in use is the default value. Takes some milliseconds if there are many stacks; allocating threads wait at
    /// most for the copy of 64 of them.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let session = &self.running.session;
        export::profile(session.interval, session.start, session.instant.elapsed())
    }

    /// How full the tables are.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let session = &self.running.session;
        let (counts, table_bytes) =
            sys::tables(|tables| tables.map(|tables| (tables.counts(), tables.bytes())).unwrap_or_default());
        Stats {
            table_bytes,
            samples: counts.samples,
            live: counts.live,
            places: counts.places,
            other_live: counts.live_full,
            other_places: counts.places_full + counts.addresses_full,
            unknown_frees: counts.unknown_frees,
            interval: session.interval,
            unwinder: session.unwinder,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = state();
        // It worked when it was switched on; were it to fail, sampling would merely go on.
        let _ = sys::set_active(self.was_active);
        state.running = false;
    }
}

/// Gives unused memory back to the system: flushes this thread's cache and purges all arenas.
///
/// The counterpart of Go's `?gc=1`, which collects garbage first. Rust has none, so a profile does not change; resident
/// memory comes nearer to memory in use. Caches of other threads stay as they are.
///
/// # Errors
/// If jemalloc is not the global allocator, or refuses.
pub fn purge() -> Result<(), HeapError> {
    error::require_global()?;
    Ok(sys::purge()?)
}

#[cfg(test)]
mod tests;
