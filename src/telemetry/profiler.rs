//! The instruments of the profiler and of the server that gives its profiles away.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use super::Instruments;
use crate::names::{self, Instrument, attribute};

/// What the profiler has counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU samples taken.
    pub samples: u64,
    /// CPU samples that found no room.
    pub lost: u64,
    /// Memory of the recorder, in bytes; `None` when it is off.
    pub recorder_bytes: Option<usize>,
}

/// Counts profiles and refusals.
#[derive(Debug)]
pub struct ProfilerCounts {
    profiles: Counter<u64>,
    refused: Counter<u64>,
}

impl ProfilerCounts {
    /// The counters of this service, at 0 for each of these kinds and reasons, so that also the first one is an increase.
    #[must_use]
    pub fn new(
        instruments: &Instruments,
        kinds: impl IntoIterator<Item = &'static str>,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let counter = |instrument: Instrument| {
            let builder = instruments.meter().u64_counter(instrument.name);
            builder.with_unit(instrument.unit).with_description(instrument.description).build()
        };
        let counts = Self { profiles: counter(names::PROFILER_PROFILES), refused: counter(names::PROFILER_REFUSED) };
        kinds.into_iter().for_each(|kind| counts.profiles.add(0, &[KeyValue::new(attribute::KIND, kind)]));
        reasons.into_iter().for_each(|reason| counts.refused.add(0, &[KeyValue::new(attribute::REASON, reason)]));
        counts
    }

    /// A profile of this kind was taken.
    pub fn profile(&self, kind: &'static str) {
        self.profiles.add(1, &[KeyValue::new(attribute::KIND, kind)]);
    }

    /// A client was turned away, for a reason out of a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.refused.add(1, &[KeyValue::new(attribute::REASON, reason)]);
    }
}

impl Instruments {
    /// Registers the instruments of the profiler; `reading` is asked when metrics are collected.
    pub fn observe_profiler(&self, reading: impl Fn() -> Reading + Clone + Send + Sync + 'static) {
        let counters = [
            (names::PROFILER_SAMPLES, (|reading| reading.samples) as fn(Reading) -> u64),
            (names::PROFILER_SAMPLES_LOST, |reading| reading.lost),
        ];
        for (instrument, value) in counters {
            let reading = reading.clone();
            self.observe_counter(instrument, move |counter| counter.observe(value(reading()), &[]));
        }
        self.observe_gauge(names::PROFILER_RECORDER_BYTES, move |gauge| {
            if let Some(bytes) = reading().recorder_bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
                gauge.observe(bytes, &[]);
            }
        });
    }
}
