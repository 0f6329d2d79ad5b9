//! What jemalloc says of itself.

use std::ffi::CStr;

use super::{HeapError, error};
use crate::sys::heap as sys;

/// The allocator's memory, in bytes; every number but `retained` and `metadata` is at least the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocatorStats {
    /// Allocated by the program.
    pub allocated: u64,
    /// In pages that have at least one allocation.
    pub active: u64,
    /// Physically there: active pages, metadata and unused dirty pages.
    pub resident: u64,
    /// In mappings that are in use.
    pub mapped: u64,
    /// In mappings that are kept for later; costs addresses only.
    pub retained: u64,
    /// The allocator's own records.
    pub metadata: u64,
    /// Pieces of memory that arenas have handed out and not got back; those in the caches of threads are among them.
    pub objects: u64,
    /// Times that unused pages were given back to the system.
    pub purges: u64,
}

impl AllocatorStats {
    /// Asks jemalloc for the numbers of now. Takes some microseconds for each arena; needs no [`super::start`].
    ///
    /// # Errors
    /// If jemalloc is not the global allocator, or refuses.
    pub fn read() -> Result<Self, HeapError> {
        error::require_global()?;
        sys::refresh()?;
        Ok(Self {
            allocated: sys::size(c"stats.allocated")?,
            active: sys::size(c"stats.active")?,
            resident: sys::size(c"stats.resident")?,
            mapped: sys::size(c"stats.mapped")?,
            retained: sys::size(c"stats.retained")?,
            metadata: sys::size(c"stats.metadata")?,
            objects: sum([c"stats.arenas.4096.small.nmalloc", c"stats.arenas.4096.large.nmalloc"])?
                .saturating_sub(sum([c"stats.arenas.4096.small.ndalloc", c"stats.arenas.4096.large.ndalloc"])?),
            purges: sum([c"stats.arenas.4096.dirty_npurge", c"stats.arenas.4096.muzzy_npurge"])?,
        })
    }
}

/// The sum of two statistics over all arenas: 4096 is `MALLCTL_ARENAS_ALL`.
fn sum([one, other]: [&'static CStr; 2]) -> Result<u64, HeapError> {
    Ok(sys::number(one)? + sys::number(other)?)
}

/// What was allocated and freed since sampling began, estimated from the samples.
///
/// jemalloc's own counters of requests are no use for this: threads serve small ones from caches and report them only when
/// those overflow, which a loop that allocates and frees never makes happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes allocated, each piece rounded up to its size class.
    pub bytes: u64,
    /// Pieces allocated.
    pub mallocs: u64,
    /// Pieces freed, of those.
    pub frees: u64,
}

impl Totals {
    /// The totals of now; `None` when sampling was never started. Takes less than a microsecond.
    #[must_use]
    pub fn read() -> Option<Self> {
        let [allocated, freed] = sys::tables(|tables| tables.map(|tables| tables.totals()))?;
        Some(Self {
            bytes: allocated.bytes().unsigned_abs(),
            mallocs: allocated.objects().unsigned_abs(),
            frees: freed.objects().unsigned_abs(),
        })
    }
}
