//! The instruments and the one reader that feeds both OTLP and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::metrics::Meter;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Compression as Otlp, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use otel_exemplars::{BoundCounter, BoundHistogram, Counter, ExemplarMeter, Exemplars, Exposition, Histogram};

use super::export::{Discard, ExportHealth, Signal, Watched};
use super::telemetry_error;
use super::traces::{channel, headers, http_client, metadata};
use super::websocket::Websocket;
use crate::config::{Compression, Config, Protocol};
use crate::error::StartError;
use crate::names::{self, Instrument, Section, attribute};

/// Longer than any process of a lab lives: where nothing is pushed, the reader's own timer has nothing to do.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// A provider that drops every record, for a disabled SDK.
pub(super) fn disabled() -> SdkMeterProvider {
    SdkMeterProvider::builder().build()
}

/// Builds the meter provider with its one reader, and the page over that reader.
pub(super) fn provider(
    config: &Config,
    exemplars: &Exemplars,
    resource: Resource,
    health: &Arc<ExportHealth>,
) -> Result<(SdkMeterProvider, Exposition), StartError> {
    let Some(export) = &config.otel.metrics else {
        return Ok(with_reader(Discard, NEVER, exemplars, resource));
    };
    let timeout = export.timeout.min(config.otel.metric.timeout);
    let exporter = match export.protocol {
        Protocol::HttpProtobuf => {
            let client = http_client(timeout)?;
            exemplars.http_metric_exporter(Arc::new(client), |stock| {
                let stock = stock.with_endpoint(&export.endpoint).with_timeout(timeout);
                let stock = stock.with_headers(headers(export).collect());
                match export.compression {
                    Compression::Gzip => stock.with_compression(Otlp::Gzip),
                    Compression::None => stock,
                }
            })
        }
        Protocol::Grpc => exemplars.grpc_metric_exporter(channel(export, timeout)?, timeout, |stock| {
            let stock = stock.with_metadata(metadata(export));
            match export.compression {
                Compression::Gzip => stock.with_compression(Otlp::Gzip),
                Compression::None => stock,
            }
        }),
    }
    .map_err(telemetry_error("the metric exporter"))?;
    let watched = Watched::new(exporter, Signal::Metrics, health);
    Ok(with_reader(watched, config.otel.metric.interval, exemplars, resource))
}

fn with_reader<E: PushMetricExporter>(
    exporter: E,
    interval: Duration,
    exemplars: &Exemplars,
    resource: Resource,
) -> (SdkMeterProvider, Exposition) {
    let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
    let exposition = exemplars.exposition(reader.clone());
    (SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build(), exposition)
}

/// The instruments of the service.
#[derive(Debug)]
pub struct Instruments {
    /// `http.server.request.duration`; the routes bind it.
    pub http_duration: Histogram,
    /// `http.server.active_requests`.
    pub active_requests: Arc<ActiveRequests>,
    /// `work.loop.iterations`.
    pub loop_iterations: BoundCounter,
    /// `db.client.operation.duration`; the database binds it.
    pub db_duration: Histogram,
    /// `websocket.*`.
    pub websocket: Websocket,
    sections: [BoundHistogram; Section::ALL.len()],
    meter: ExemplarMeter,
}

impl Instruments {
    pub(super) fn new(exemplars: &Exemplars, provider: &SdkMeterProvider) -> Self {
        let scope = InstrumentationScope::builder(names::SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let meter = exemplars.meter(provider, scope);
        let section_duration = histogram(&meter, names::SECTION_DURATION, names::SECTION_BOUNDARIES);
        let active_requests = Arc::new(ActiveRequests::default());
        active_requests.register(meter.inner());
        let loop_iterations = counter(&meter, names::WORK_LOOP_ITERATIONS).bind(&[]);
        // Bound without attributes it would be shown with its first increase only.
        loop_iterations.add(0);
        Self {
            http_duration: histogram(&meter, names::HTTP_SERVER_REQUEST_DURATION, names::HTTP_BOUNDARIES),
            active_requests,
            loop_iterations,
            db_duration: histogram(&meter, names::DB_CLIENT_OPERATION_DURATION, names::DB_BOUNDARIES),
            websocket: Websocket::new(&meter),
            sections: Section::ALL
                .map(|section| section_duration.bind(&[KeyValue::new(attribute::SECTION, section.name())])),
            meter,
        }
    }

    /// `section.duration` of one phase; record while the phase's span is open and current.
    #[must_use]
    pub fn section(&self, section: Section) -> &BoundHistogram {
        &self.sections[section as usize]
    }

    /// The meter of instruments with exemplars.
    pub(super) fn exemplar_meter(&self) -> &ExemplarMeter {
        &self.meter
    }

    /// The SDK's meter, for instruments without exemplars.
    pub(super) fn meter(&self) -> &Meter {
        self.meter.inner()
    }
}

pub(super) fn counter(meter: &ExemplarMeter, instrument: Instrument) -> Counter {
    meter.u64_counter(instrument.name).with_unit(instrument.unit).with_description(instrument.description).build()
}

pub(super) fn histogram(meter: &ExemplarMeter, instrument: Instrument, boundaries: &[f64]) -> Histogram {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(boundaries.to_vec())
        .build()
}

/// Requests in flight by method: plain counters that are read when metrics are collected, because the SDK's own
/// up-down counter would look its attributes up twice per request.
#[derive(Debug, Default)]
pub struct ActiveRequests {
    counts: [AtomicI64; names::METHODS.len()],
    seen: [AtomicBool; names::METHODS.len()],
}

impl ActiveRequests {
    /// Counts a request in until the guard is dropped; `method` is an index into [`names::METHODS`].
    #[must_use]
    pub fn enter(self: &Arc<Self>, method: usize) -> ActiveRequest {
        self.counts[method].fetch_add(1, Ordering::Relaxed);
        if !self.seen[method].load(Ordering::Relaxed) {
            self.seen[method].store(true, Ordering::Relaxed);
        }
        ActiveRequest { active: Arc::clone(self), method }
    }

    fn register(self: &Arc<Self>, meter: &Meter) {
        let instrument = names::HTTP_SERVER_ACTIVE_REQUESTS;
        let active = Arc::clone(self);
        let attributes = names::METHODS.map(|method| {
            [KeyValue::new(attribute::HTTP_REQUEST_METHOD, method), KeyValue::new(attribute::URL_SCHEME, "http")]
        });
        let _observed = meter
            .i64_observable_up_down_counter(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.description)
            .with_callback(move |observer| {
                for (method, attributes) in attributes.iter().enumerate() {
                    if active.seen[method].load(Ordering::Relaxed) {
                        observer.observe(active.counts[method].load(Ordering::Relaxed), attributes);
                    }
                }
            })
            .build();
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct ActiveRequest {
    active: Arc<ActiveRequests>,
    method: usize,
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.active.counts[self.method].fetch_sub(1, Ordering::Relaxed);
    }
}
