//! The last requests by trace id: why a trace has no samples can only be said by who knows what it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanContext;

/// Requests that are remembered: ten minutes of 27 per second, in 1.3 MB.
const REMEMBERED: usize = 16_384;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentTrace {
    /// Its trace.
    pub trace_id: u128,
    /// The name of its span.
    pub name: Arc<str>,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub ended: SystemTime,
    /// Whether the trace was sampled, which the trace store goes by; the profiler does not.
    pub sampled: bool,
}

/// The last requests; the oldest gives way.
#[derive(Debug, Default)]
pub struct RecentTraces {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    traces: Vec<RecentTrace>,
    next: usize,
}

impl RecentTraces {
    /// Remembers what has just ended, if it has a span.
    pub fn push_span(&self, ids: &SpanContext, name: &Arc<str>, duration: Duration) {
        if ids.is_valid() {
            self.push(RecentTrace {
                trace_id: u128::from_be_bytes(ids.trace_id().to_bytes()),
                name: Arc::clone(name),
                duration,
                ended: SystemTime::now(),
                sampled: ids.is_sampled(),
            });
        }
    }

    fn push(&self, trace: RecentTrace) {
        let mut ring = self.lock();
        if ring.traces.len() < REMEMBERED {
            ring.traces.push(trace);
            return;
        }
        let next = ring.next;
        ring.traces[next] = trace;
        ring.next = (next + 1) % REMEMBERED;
    }

    /// The request of a trace, if it is remembered; the longest one, if there were several.
    #[must_use]
    pub fn find(&self, trace_id: u128) -> Option<RecentTrace> {
        self.lock().traces.iter().filter(|trace| trace.trace_id == trace_id).max_by_key(|trace| trace.duration).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(trace_id: u128, millis: u64) -> RecentTrace {
        RecentTrace {
            trace_id,
            name: "GET /".into(),
            duration: Duration::from_millis(millis),
            ended: SystemTime::UNIX_EPOCH,
            sampled: true,
        }
    }

    #[test]
    fn the_oldest_gives_way_and_the_longest_is_found() {
        let recent = RecentTraces::default();
        for id in 0..REMEMBERED as u128 + 10 {
            recent.push(trace(id, 1));
        }
        assert_eq!(recent.find(9), None);
        assert_eq!(recent.find(10), Some(trace(10, 1)));
        recent.push(trace(10_000_000, 5));
        recent.push(trace(10_000_000, 2));
        assert_eq!(recent.find(10_000_000), Some(trace(10_000_000, 5)));
        assert_eq!(recent.lock().traces.len(), REMEMBERED);
    }
}
