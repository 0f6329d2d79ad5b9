//! The instruments of the allocator, read from jemalloc when metrics are collected. Where the program has another
//! allocator, as some tests do, there are none, and counts of allocations only where the
//! heap profiler takes samples.

use span_profiler::heap::{AllocatorStats, Totals};

use super::Instruments;
use super::shared::Shared;
use crate::names;

/// One number of a reading.
type Value = fn(AllocatorStats) -> u64;

/// What the one allocator of the process says now.
pub(super) fn stats() -> Option<AllocatorStats> {
    static STATS: Shared<AllocatorStats> = Shared::new();
    STATS.get(|| AllocatorStats::read().ok())
}

/// Registers all `jemalloc.*` and `app.heap.*` instruments.
pub(super) fn register(instruments: &Instruments) {
    let gauges: [(_, Value); 8] = [
        (names::JEMALLOC_ALLOCATED, |stats| stats.allocated),
        (names::JEMALLOC_ACTIVE, |stats| stats.active),
        (names::JEMALLOC_RESIDENT, |stats| stats.resident),
        (names::JEMALLOC_MAPPED, |stats| stats.mapped),
        (names::JEMALLOC_RETAINED, |stats| stats.retained),
        (names::JEMALLOC_METADATA, |stats| stats.metadata),
        (names::APP_HEAP_ALLOC, |stats| stats.allocated),
        (names::APP_HEAP_OBJECTS, |stats| stats.objects),
    ];
    for (instrument, value) in gauges {
        instruments.observe_gauge(instrument, move |gauge| {
            if let Some(value) = stats().and_then(|stats| i64::try_from(value(stats)).ok()) {
                gauge.observe(value, &[]);
            }
        });
    }
    instruments.observe_counter(names::JEMALLOC_PURGES, |counter| {
        if let Some(stats) = stats() {
            counter.observe(stats.purges, &[]);
        }
    });
    let total = |instrument, value: fn(Totals) -> u64| {
        instruments.observe_counter(instrument, move |counter| {
            if let Some(totals) = Totals::read() {
                counter.observe(value(totals), &[]);
            }
        });
    };
    total(names::JEMALLOC_ALLOCATIONS, |totals| totals.bytes);
    total(names::JEMALLOC_MALLOCS, |totals| totals.mallocs);
    total(names::JEMALLOC_FREES, |totals| totals.frees);
}
