//! What jemalloc says of itself.

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
        })
    }
}

/// What jemalloc has counted since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocatorCounters {
    /// Bytes that were ever allocated, in size classes. What a thread takes from its cache is counted some allocations later.
    pub allocated: u64,
    /// Sweeps in which unused pages were given back to the system.
    pub purges: u64,
}

impl AllocatorCounters {
    /// Asks jemalloc for the numbers of now. Takes some ten microseconds, as it looks at each size class; needs no
    /// [`super::start`].
    ///
    /// # Errors
    /// If jemalloc is not the global allocator, or refuses.
    pub fn read() -> Result<Self, HeapError> {
        error::require_global()?;
        sys::refresh()?;
        Ok(Self { allocated: sys::requested()?, purges: sys::purges()? })
    }
}
