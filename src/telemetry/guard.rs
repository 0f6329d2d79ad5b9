//! Stops the pipelines, in the one order in which nothing is lost: spans first, because their acknowledgement frees the
//! last exemplars, then metrics, which carry those exemplars away.

use std::time::{Duration, Instant};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_exemplars::{Exemplars, Stats};

/// Owns the pipelines.
#[derive(Debug)]
pub struct Guard {
    tracers: Option<SdkTracerProvider>,
    meters: SdkMeterProvider,
    exemplars: Exemplars,
}

/// What came of stopping.
#[derive(Debug)]
pub struct Stopped {
    /// What became of the exemplars.
    pub exemplars: Stats,
    /// Why spans may have been lost, if so.
    pub traces: Option<String>,
    /// Why metrics may have been lost, if so.
    pub metrics: Option<String>,
}

impl Guard {
    pub(super) fn new(tracers: Option<SdkTracerProvider>, meters: SdkMeterProvider, exemplars: Exemplars) -> Self {
        Self { tracers, meters, exemplars }
    }

    /// Flushes and stops spans, then metrics, both within `timeout`. Blocks: call it on a thread that may.
    #[must_use]
    pub fn stop(self, timeout: Duration) -> Stopped {
        let started = Instant::now();
        let traces = self.tracers.and_then(|tracers| tracers.shutdown_with_timeout(timeout).err());
        let left = timeout.saturating_sub(started.elapsed());
        let metrics = self.meters.shutdown_with_timeout(left).err();
        Stopped {
            exemplars: self.exemplars.stats(),
            traces: traces.map(|error| error.to_string()),
            metrics: metrics.map(|error| error.to_string()),
        }
    }
}

impl Stopped {
    /// Writes the report to the log.
    pub fn log(&self) {
        for (signal, error) in [("traces", &self.traces), ("metrics", &self.metrics)] {
            if let Some(error) = error {
                tracing::warn!(signal, error, "the last telemetry may be lost");
            }
        }
        let Stats { offered, picked, shipped, dropped, waiting, .. } = &self.exemplars;
        let dropped: Vec<_> = dropped.iter().filter(|(_, count)| *count > 0).collect();
        let reasons: Vec<_> = dropped.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
        tracing::info!(offered, picked, shipped, waiting, dropped = %reasons.join(","), "telemetry has stopped");
    }
}
