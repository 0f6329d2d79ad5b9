//! One process with telemetry, and the receiver it exports to.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Compression, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{BatchConfigBuilder, SdkTracer, SdkTracerProvider, SpanLimits};
use otel_exemplars::{ExemplarMeter, ExemplarMetricExporter, Exemplars, ExemplarsBuilder, Exposition, Stats};
use otlp_testkit::{FoundExemplar, Receiver, Signal};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

/// Never comes in a test: exports happen when a test flushes.
const NEVER: Duration = Duration::from_secs(3600);
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

pub(crate) const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    pub(crate) gzip: bool,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) settings: ExemplarsBuilder,
    pub(crate) span_limits: SpanLimits,
    pub(crate) view: Option<fn(&opentelemetry_sdk::metrics::Instrument) -> Option<Stream>>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http,
            gzip: false,
            headers: Vec::new(),
            settings: Exemplars::builder(),
            span_limits: SpanLimits::default(),
            view: None,
        }
    }
}

pub(crate) struct Rig {
    pub(crate) exemplars: Exemplars,
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) meters: SdkMeterProvider,
    pub(crate) meter: ExemplarMeter,
    pub(crate) scrape: Exposition,
    pub(crate) reader: PeriodicReader<ExemplarMetricExporter>,
    /// Dropped after the providers, which export once more when they go.
    pub(crate) receiver: Receiver,
    /// Carries the gRPC channels; dropped last.
    _runtime: Runtime,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Plan::default())
    }

    pub(crate) fn with(plan: Plan) -> Self {
        let receiver = Receiver::start().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let exemplars = plan.settings.clone().build().unwrap();
        let batches = BatchConfigBuilder::default().with_scheduled_delay(NEVER).build();
        let (processor, metric_exporter) = match plan.protocol {
            Protocol::Http => {
                let client = Arc::new(reqwest::blocking::Client::builder().timeout(TIMEOUT).build().unwrap());
                let headers = || plan.headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                let spans = exemplars.http_span_exporter(client.clone(), |builder| {
                    let builder = builder
                        .with_endpoint(receiver.http_endpoint_of(Signal::Traces))
                        .with_timeout(TIMEOUT)
                        .with_headers(headers());
                    if plan.gzip { builder.with_compression(Compression::Gzip) } else { builder }
                });
                let metrics = exemplars.http_metric_exporter(client, |builder| {
                    let builder = builder
                        .with_endpoint(receiver.http_endpoint_of(Signal::Metrics))
                        .with_timeout(TIMEOUT)
                        .with_headers(headers());
                    if plan.gzip { builder.with_compression(Compression::Gzip) } else { builder }
                });
                (exemplars.span_processor(spans.unwrap(), batches), metrics.unwrap())
            }
            Protocol::Grpc => {
                let _inside = runtime.enter();
                let channel = Endpoint::from_shared(receiver.grpc_endpoint()).unwrap().connect_lazy();
                let mut metadata = tonic::metadata::MetadataMap::new();
                for (key, value) in &plan.headers {
                    metadata.insert(*key, value.parse().unwrap());
                }
                let spans = exemplars.grpc_span_exporter(channel.clone(), TIMEOUT, |builder| {
                    let builder = builder.with_metadata(metadata.clone());
                    if plan.gzip { builder.with_compression(Compression::Gzip) } else { builder }
                });
                let metrics = exemplars.grpc_metric_exporter(channel, TIMEOUT, |builder| {
                    let builder = builder.with_metadata(metadata.clone());
                    if plan.gzip { builder.with_compression(Compression::Gzip) } else { builder }
                });
                (exemplars.span_processor(spans.unwrap(), batches), metrics.unwrap())
            }
        };
        let tracers =
            SdkTracerProvider::builder().with_span_processor(processor).with_span_limits(plan.span_limits).build();
        let reader: PeriodicReader<ExemplarMetricExporter> =
            PeriodicReader::builder(metric_exporter).with_interval(NEVER).build();
        let mut meters = SdkMeterProvider::builder().with_reader(reader.clone());
        if let Some(view) = plan.view {
            meters = meters.with_view(view);
        }
        let meters = meters.build();
        let meter = exemplars.meter(&meters, InstrumentationScope::builder("rig").build());
        let scrape = exemplars.exposition(reader.clone());
        Self { exemplars, tracers, meters, meter, scrape, reader, receiver, _runtime: runtime }
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.tracers.tracer("rig")
    }

    /// Runs `work` inside a span and returns the span's id in hex.
    pub(crate) fn in_span(&self, name: &'static str, work: impl FnOnce()) -> String {
        let mut span = self.tracer().start(name);
        span.set_attribute(KeyValue::new("k", "v"));
        let id = span.span_context().span_id().to_string();
        let _current = Context::current_with_span(span).attach();
        work();
        id
    }

    /// Exports the ended spans, then the metrics.
    pub(crate) fn flush(&self) {
        self.flush_spans();
        self.flush_metrics();
    }

    pub(crate) fn flush_spans(&self) {
        // A failed export is what some tests are about; the receiver tells what arrived.
        let _ = self.tracers.force_flush();
    }

    pub(crate) fn flush_metrics(&self) {
        let _ = self.meters.force_flush();
    }

    pub(crate) fn exemplars_of(&self, metric: &str) -> Vec<FoundExemplar> {
        self.receiver.received().exemplars_of(metric)
    }

    /// The counters, after checking that they add up.
    pub(crate) fn stats(&self) -> Stats {
        let stats = self.exemplars.stats();
        let dropped: u64 = stats.dropped.iter().map(|(_, count)| count).sum();
        assert_eq!(stats.offered, stats.shipped + dropped + stats.waiting as u64, "nothing is lost: {stats:?}");
        stats
    }

    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        self.stats().dropped.into_iter().find(|(name, _)| *name == reason).unwrap().1
    }
}

pub(crate) fn value(found: &FoundExemplar) -> f64 {
    use otlp_testkit::proto::metrics::v1::exemplar::Value;
    match found.exemplar.value.unwrap() {
        Value::AsDouble(value) => value,
        Value::AsInt(value) => panic!("exemplars of ours are doubles, not {value}"),
    }
}

pub(crate) fn span_id(found: &FoundExemplar) -> String {
    found.exemplar.span_id.iter().map(|byte| format!("{byte:02x}")).collect()
}
