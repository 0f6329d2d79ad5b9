//! What became of every offer: `offered = shipped + dropped + waiting`, at any time.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::hub::Exemplars;
use crate::sync::{AtomicU64, Ordering};

/// Why an offered exemplar will not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The span of the record had ended, or belongs to another process: it cannot be marked any more.
    NotRecording,
    /// The trace began in another process, whose sampler may have decided already.
    RemoteParent,
    /// The waiting room was full.
    WaitingRoomFull,
    /// The span was exported without its mark: a span limit dropped it, or it ended in the same moment.
    MarkLost,
    /// The export of the span failed.
    SpanExportFailed,
    /// The receiver of the spans rejected a part of the batch, or answered with what cannot be read.
    PartialSuccess,
    /// The span was acknowledged too late for the tail sampler to be sure to see the mark.
    Late,
    /// The span was not exported within the decision wait: it never ended, or a queue dropped it.
    NeverExported,
    /// No data point carries the series: a view renamed or dropped it, or it overflowed the cardinality limit.
    NoDataPoint,
    /// Metric exports failed for so long that newer exemplars took the place.
    OutboxFull,
    /// The receiver of the metrics rejected a part of the points.
    PointsRejected,
}

const REASONS: [(DropReason, &str); 11] = [
    (DropReason::NotRecording, "not_recording"),
    (DropReason::RemoteParent, "remote_parent"),
    (DropReason::WaitingRoomFull, "waiting_room_full"),
    (DropReason::MarkLost, "mark_lost"),
    (DropReason::SpanExportFailed, "span_export_failed"),
    (DropReason::PartialSuccess, "partial_success"),
    (DropReason::Late, "late"),
    (DropReason::NeverExported, "never_exported"),
    (DropReason::NoDataPoint, "no_data_point"),
    (DropReason::OutboxFull, "outbox_full"),
    (DropReason::PointsRejected, "points_rejected"),
];

/// The counters behind [`Stats`].
#[derive(Debug)]
pub(crate) struct Counters {
    picked: AtomicU64,
    shipped: AtomicU64,
    dropped: [AtomicU64; REASONS.len()],
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            picked: AtomicU64::new(0),
            shipped: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    pub(crate) fn picked(&self) {
        self.picked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn shipped(&self, count: usize) {
        self.shipped.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason, count: usize) {
        self.dropped[reason as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, waiting: usize) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let dropped: Vec<_> =
            REASONS.iter().map(|(reason, name)| (*name, read(&self.dropped[*reason as usize]))).collect();
        let refused: u64 = dropped[..DropReason::WaitingRoomFull as usize + 1].iter().map(|(_, count)| count).sum();
        let picked = read(&self.picked);
        Stats { offered: picked + refused, picked, shipped: read(&self.shipped), dropped, waiting }
    }
}

/// What became of the exemplars so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Records that found the slot of their bucket free while a sampled span was current.
    pub offered: u64,
    /// Offers that claimed their slot and marked their span.
    pub picked: u64,
    /// Exemplars that left: over OTLP where a metric exporter was made, to `/metrics` otherwise.
    pub shipped: u64,
    /// Offers that will not be seen, by reason; every reason is listed, also with 0.
    pub dropped: Vec<(&'static str, u64)>,
    /// Exemplars that wait for their span's export, or for the next metric export.
    pub waiting: usize,
}

/// Registers `exemplars.offered`, `.picked`, `.shipped` and `.dropped{reason}`, counters in `{exemplar}`.
pub(crate) fn register(exemplars: &Exemplars, meter: &Meter) {
    type Read = fn(&Stats) -> u64;
    let totals: [(&'static str, &'static str, Read); 3] = [
        ("exemplars.offered", "Records that found their bucket's slot free inside a sampled span", |stats| {
            stats.offered
        }),
        ("exemplars.picked", "Offered exemplars that claimed their slot and marked their span", |stats| stats.picked),
        ("exemplars.shipped", "Exemplars that left after their span's export was acknowledged", |stats| stats.shipped),
    ];
    for (name, description, read) in totals {
        let exemplars = exemplars.clone();
        meter
            .u64_observable_counter(name)
            .with_unit("{exemplar}")
            .with_description(description)
            .with_callback(move |observer| observer.observe(read(&exemplars.stats()), &[]))
            .build();
    }
    let exemplars = exemplars.clone();
    meter
        .u64_observable_counter("exemplars.dropped")
        .with_unit("{exemplar}")
        .with_description("Offered exemplars that will not be seen, by reason")
        .with_callback(move |observer| {
            for (reason, count) in exemplars.stats().dropped {
                observer.observe(count, &[KeyValue::new("reason", reason)]);
            }
        })
        .build();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_own_place() {
        for (place, (reason, _)) in REASONS.iter().enumerate() {
            assert_eq!(place, *reason as usize);
        }
    }

    #[test]
    fn what_was_refused_before_the_claim_counts_as_offered() {
        let counters = Counters::new();
        counters.picked();
        counters.dropped(DropReason::NotRecording, 1);
        counters.dropped(DropReason::WaitingRoomFull, 1);
        counters.dropped(DropReason::Late, 1);
        let stats = counters.read(0);
        assert_eq!((stats.offered, stats.picked), (3, 1));
    }
}
