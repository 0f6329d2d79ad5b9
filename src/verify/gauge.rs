//! `verify.exemplars`: what the last round found, for a collector.
//!
//! A gauge and not a counter: every round looks at a window that overlaps the last one, so a sum over rounds would
//! count an exemplar as often as it was seen, and an alert wants to know how many dangle now.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, MeterProvider};
use opentelemetry_otlp::{Compression as Otlp, MetricExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tonic::metadata::MetadataMap;

use super::check::Outcome;
use super::report::Report;
use crate::config::{Compression, Config, Export, Protocol};
use crate::names;

/// The gauge and the provider that exports it.
#[derive(Debug)]
pub struct RoundGauge {
    provider: SdkMeterProvider,
    gauge: Gauge<u64>,
}

/// The exporter could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the metric exporter")]
pub struct GaugeError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl RoundGauge {
    /// A gauge that is exported as `config` says; with metrics switched off it is kept to itself.
    ///
    /// # Errors
    /// When the exporter refuses its settings.
    ///
    /// # Panics
    /// Outside of a tokio runtime when the protocol is gRPC, which needs one for its channel.
    pub fn start(config: &Config, resource: Resource) -> Result<Self, GaugeError> {
        let mut builder = SdkMeterProvider::builder().with_resource(resource);
        if let Some(export) = config.otel.metrics.as_ref().filter(|_| !config.otel.disabled) {
            let timeout = export.timeout.min(config.otel.metric.timeout);
            let exporter = exporter(export, timeout)?;
            let reader = PeriodicReader::builder(exporter).with_interval(config.otel.metric.interval).build();
            builder = builder.with_reader(reader);
        }
        let provider = builder.build();
        let instrument = names::VERIFY_EXEMPLARS;
        let gauge = provider
            .meter(names::SCOPE)
            .u64_gauge(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.description)
            .build();
        Ok(Self { provider, gauge })
    }

    /// Shows a round; every outcome is shown, also at zero, so that an alert has a series to look at.
    pub fn show(&self, report: &Report) {
        for outcome in Outcome::ALL {
            self.record(outcome, report.count(outcome) as u64);
        }
    }

    /// Shows a round that could not even begin: nothing is known, and one question failed.
    pub fn show_failure(&self) {
        for outcome in Outcome::ALL {
            self.record(outcome, u64::from(outcome == Outcome::AskFailed));
        }
    }

    fn record(&self, outcome: Outcome, count: u64) {
        self.gauge.record(count, &[KeyValue::new(names::attribute::RESULT, outcome.name())]);
    }

    /// Exports what was shown last, and ends.
    pub fn stop(self) {
        // The last export is a courtesy: the exit code has said it all, and the SDK logs a failure.
        let _ = self.provider.shutdown();
    }
}

fn exporter(export: &Export, timeout: Duration) -> Result<MetricExporter, GaugeError> {
    let gzip = match export.compression {
        Compression::Gzip => Some(Otlp::Gzip),
        Compression::None => None,
    };
    let built = match export.protocol {
        Protocol::HttpProtobuf => {
            let headers = export.headers.iter();
            let headers = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
            let stock = MetricExporter::builder().with_http();
            let stock = stock.with_endpoint(&export.endpoint).with_timeout(timeout).with_headers(headers.collect());
            match gzip {
                Some(gzip) => stock.with_compression(gzip).build(),
                None => stock.build(),
            }
        }
        Protocol::Grpc => {
            let metadata = MetadataMap::from_headers(export.headers.iter().cloned().collect());
            let stock = MetricExporter::builder().with_tonic();
            let stock = stock.with_endpoint(&export.endpoint).with_timeout(timeout).with_metadata(metadata);
            match gzip {
                Some(gzip) => stock.with_compression(gzip).build(),
                None => stock.build(),
            }
        }
    };
    built.map_err(|error| GaugeError(Box::new(error)))
}

#[cfg(test)]
mod tests;
