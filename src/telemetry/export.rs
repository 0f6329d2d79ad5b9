//! Watches the exports: says once when they begin to fail and once when they work again.

use std::sync::Mutex;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::sync::Arc;

use crate::config::Config;

/// What is known about the exports of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportState {
    /// Nothing is exported.
    Off,
    /// No export has been tried yet.
    Untried,
    /// The last export succeeded.
    Working,
    /// The last export failed.
    Failing,
}

impl ExportState {
    /// The state in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Untried => "untried",
            Self::Working => "working",
            Self::Failing => "failing",
        }
    }
}

/// A signal whose exports are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces = 0,
    Metrics = 1,
}

/// What is known about the exports of both signals.
///
/// Both mostly go to one collector, so both together speak once: the first that fails logs a warning, and the last one
/// that works again logs that. A lock is taken once per export, never per request.
#[derive(Debug)]
pub struct ExportHealth {
    endpoints: [String; 2],
    states: Mutex<States>,
}

#[derive(Debug)]
struct States {
    signals: [ExportState; 2],
    /// Exports that failed since the warning.
    failed: u64,
}

/// What to say about a change.
#[derive(Debug, PartialEq, Eq)]
enum News {
    None,
    Failing,
    Working { failed: u64 },
}

impl ExportHealth {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let otel = &config.otel;
        let exports = [&otel.traces, &otel.metrics].map(|export| export.as_ref().filter(|_| !otel.disabled));
        Self {
            endpoints: exports.map(|export| export.map(|export| export.endpoint.clone()).unwrap_or_default()),
            states: Mutex::new(States {
                signals: exports.map(|export| if export.is_some() { ExportState::Untried } else { ExportState::Off }),
                failed: 0,
            }),
        }
    }

    /// The state of the span exports.
    #[must_use]
    pub fn traces(&self) -> ExportState {
        self.lock().signals[Signal::Traces as usize]
    }

    /// The state of the metric exports.
    #[must_use]
    pub fn metrics(&self) -> ExportState {
        self.lock().signals[Signal::Metrics as usize]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn observe(&self, signal: Signal, result: &OTelSdkResult) {
        let news = self.lock().observe(signal, result.is_ok());
        let endpoint = self.endpoints[signal as usize].as_str();
        match (news, result) {
            (News::Failing, Err(error)) => tracing::warn!(
                endpoint,
                error = %error,
                "cannot export telemetry: requests are served all the same, spans and exemplars are dropped until it works"
            ),
            (News::Working { failed }, _) => {
                tracing::info!(endpoint, failed_exports = failed, "telemetry is exported again");
            }
            _ => {}
        }
    }
}

impl States {
    fn observe(&mut self, signal: Signal, worked: bool) -> News {
        let failing = |states: &Self| states.signals.contains(&ExportState::Failing);
        let before = failing(self);
        self.signals[signal as usize] = if worked { ExportState::Working } else { ExportState::Failing };
        self.failed += u64::from(!worked);
        match (before, failing(self)) {
            (false, true) => News::Failing,
            (true, false) => News::Working { failed: std::mem::take(&mut self.failed) },
            _ => News::None,
        }
    }
}

/// An exporter whose results are noted.
#[derive(Debug)]
pub(super) struct Watched<E> {
    inner: E,
    signal: Signal,
    health: Arc<ExportHealth>,
}

impl<E> Watched<E> {
    pub(super) fn new(inner: E, signal: Signal, health: &Arc<ExportHealth>) -> Self {
        Self { inner, signal, health: Arc::clone(health) }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        self.health.observe(self.signal, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        self.health.observe(self.signal, &result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

/// Stands in for an exporter where metrics are only served on `/metrics`.
#[derive(Debug)]
pub(super) struct Discard;

impl PushMetricExporter for Discard {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_signals_speak_once_on_failure_and_once_on_recovery() {
        let mut states = States { signals: [ExportState::Untried; 2], failed: 0 };
        assert_eq!(states.observe(Signal::Metrics, true), News::None);
        assert_eq!(states.observe(Signal::Traces, false), News::Failing);
        assert_eq!(states.observe(Signal::Metrics, false), News::None);
        assert_eq!(states.observe(Signal::Traces, false), News::None);
        assert_eq!(states.observe(Signal::Traces, true), News::None);
        assert_eq!(states.observe(Signal::Metrics, true), News::Working { failed: 3 });
        assert_eq!(states.observe(Signal::Metrics, false), News::Failing);
    }
}
