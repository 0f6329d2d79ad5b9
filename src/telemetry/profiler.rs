//! The instruments of the profiler and of the server that gives its profiles away.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::Instruments;
use crate::http::problem::Kind;
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
    /// The counters of this service.
    #[must_use]
    pub fn new(instruments: &Instruments) -> Self {
        let counter = |instrument: Instrument| {
            let builder = instruments.meter().u64_counter(instrument.name);
            builder.with_unit(instrument.unit).with_description(instrument.description).build()
        };
        Self { profiles: counter(names::PROFILER_PROFILES), refused: counter(names::PROFILER_REFUSED) }
    }

    /// A profile of this kind was taken.
    pub fn profile(&self, kind: &'static str) {
        self.profiles.add(1, &[KeyValue::new(attribute::KIND, kind)]);
    }

    /// A client was turned away.
    pub fn refused(&self, kind: Kind) {
        self.refused.add(1, &[KeyValue::new(attribute::REASON, kind.error_type())]);
    }
}

/// Registers what is read when metrics are collected.
pub(super) fn observe(meter: &Meter, reading: impl Fn() -> Reading + Clone + Send + Sync + 'static) {
    for (instrument, value) in [
        (names::PROFILER_SAMPLES, (|reading| reading.samples) as fn(Reading) -> u64),
        (names::PROFILER_SAMPLES_LOST, |reading| reading.lost),
    ] {
        let reading = reading.clone();
        let _observed = meter
            .u64_observable_counter(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.description)
            .with_callback(move |observer| observer.observe(value(reading()), &[]))
            .build();
    }
    let instrument = names::PROFILER_RECORDER_BYTES;
    let _observed = meter
        .u64_observable_gauge(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_callback(move |observer| {
            if let Some(bytes) = reading().recorder_bytes {
                observer.observe(bytes as u64, &[]);
            }
        })
        .build();
}
