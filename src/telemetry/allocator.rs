//! The instruments of the allocator, read from jemalloc when metrics are collected. Where the program has another
//! allocator, as some tests do, there are none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use span_profiler::heap::AllocatorStats;

use super::Instruments;
use crate::names;

/// One collection asks all instruments; within this time they share one reading.
const SHARED_FOR: Duration = Duration::from_millis(100);

/// One number of a reading.
type Value = fn(AllocatorStats) -> u64;

/// The last reading. A failed one leaves a gap in the series, never a zero.
#[derive(Debug, Default)]
struct Readings {
    last: Mutex<Option<(Instant, AllocatorStats)>>,
}

impl Readings {
    fn stats(&self) -> Option<AllocatorStats> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(read, _)| read.elapsed() > SHARED_FOR) {
            *last = AllocatorStats::read().ok().map(|stats| (Instant::now(), stats));
        }
        last.as_ref().map(|(_, stats)| *stats)
    }
}

/// Registers all `jemalloc.*` and `app.heap.*` instruments.
pub(super) fn register(instruments: &Instruments) {
    let readings = Arc::new(Readings::default());
    let gauges: [(_, Value); 8] = [
        (names::JEMALLOC_ALLOCATED, |stats| stats.allocated),
        (names::JEMALLOC_ACTIVE, |stats| stats.active),
        (names::JEMALLOC_RESIDENT, |stats| stats.resident),
        (names::JEMALLOC_MAPPED, |stats| stats.mapped),
        (names::JEMALLOC_RETAINED, |stats| stats.retained),
        (names::JEMALLOC_METADATA, |stats| stats.metadata),
        (names::APP_HEAP_ALLOC, |stats| stats.allocated),
        // Frees are read after mallocs, so there may seem to be more of them.
        (names::APP_HEAP_OBJECTS, |stats| stats.mallocs.saturating_sub(stats.frees)),
    ];
    for (instrument, value) in gauges {
        let readings = Arc::clone(&readings);
        instruments.observe_gauge(instrument, move |gauge| {
            if let Some(value) = readings.stats().and_then(|stats| i64::try_from(value(stats)).ok()) {
                gauge.observe(value, &[]);
            }
        });
    }
    let counters: [(_, Value); 4] = [
        (names::JEMALLOC_ALLOCATIONS, |stats| stats.total),
        (names::JEMALLOC_MALLOCS, |stats| stats.mallocs),
        (names::JEMALLOC_FREES, |stats| stats.frees),
        (names::JEMALLOC_PURGES, |stats| stats.purges),
    ];
    for (instrument, value) in counters {
        let readings = Arc::clone(&readings);
        instruments.observe_counter(instrument, move |counter| {
            if let Some(stats) = readings.stats() {
                counter.observe(value(stats), &[]);
            }
        });
    }
}
