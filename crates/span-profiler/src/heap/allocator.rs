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
    /// Allocated since the process began. Threads report what they allocated from their own caches late.
    pub total: u64,
    /// Pieces of memory that were handed out, to the program or to a thread's cache.
    pub mallocs: u64,
    /// Pieces of memory that were given back, by the program or by a thread's cache.
    pub frees: u64,
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
        let counts = sys::counts()?;
        Ok(Self {
            allocated: sys::size(c"stats.allocated")?,
            active: sys::size(c"stats.active")?,
            resident: sys::size(c"stats.resident")?,
            mapped: sys::size(c"stats.mapped")?,
            retained: sys::size(c"stats.retained")?,
            metadata: sys::size(c"stats.metadata")?,
            total: counts.bytes,
            mallocs: counts.mallocs,
            frees: counts.frees,
            purges: counts.purges,
        })
    }
}
