//! `/metrics` with ten thousand series: this crate's writer against `opentelemetry-prometheus` with its text encoder.
//!
//! `cargo bench -p otel-exemplars --bench exposition`
//!
//! Each measurement collects from the SDK and writes the whole page: 5 histograms of 2,000 series with 3 attributes and
//! 14 bounds. The exemplars are 3 per series, each of a span that was exported.
//!
//! Measured with rustc 1.95.0 on 2 shared virtual cores (x86-64, load average 4 from elsewhere), medians:
//!
//! | | ms | of the baseline |
//! |---|---|---|
//! | baseline: opentelemetry-prometheus 0.33.1 | 196 | 1.00 |
//! | text 0.0.4 | 21 | 0.11 |
//! | OpenMetrics without exemplars | 18 | 0.09 |
//! | OpenMetrics with 30,000 exemplars | 42 | 0.22 |
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};
use opentelemetry_sdk::trace::{SdkTracerProvider, SimpleSpanProcessor, SpanData, SpanExporter};
use otel_exemplars::Exemplars;
use prometheus::{Encoder as _, Registry, TextEncoder};

#[path = "support/paired.rs"]
mod paired;

const METRICS: usize = 5;
const SERIES: usize = 2_000;
/// 14 bounds, 15 buckets; the recorded values fill three of them.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const VALUES: [f64; 3] = [0.003, 0.3, 3.0];
const OPEN_METRICS: Option<&str> = Some("application/openmetrics-text; version=1.0.0");

/// A manual reader that the meter provider and the page can share.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl Reader {
    fn new() -> Self {
        Self(Arc::new(ManualReader::builder().build()))
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Takes every span.
#[derive(Debug)]
struct SpanSink;

impl SpanExporter for SpanSink {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

fn meters(reader: impl MetricReader) -> SdkMeterProvider {
    let limit = |_: &Instrument| Stream::builder().with_cardinality_limit(SERIES + 1).build().ok();
    SdkMeterProvider::builder().with_reader(reader).with_view(limit).build()
}

fn name(metric: usize) -> String {
    format!("http.server.request.duration.{metric}")
}

fn attributes(series: usize) -> [KeyValue; 3] {
    [
        KeyValue::new("http.route", format!("/api/{series}")),
        KeyValue::new("http.request.method", "GET"),
        KeyValue::new("http.response.status_code", 200),
    ]
}

fn exposition(c: &mut Criterion) {
    let mut group = c.benchmark_group("exposition, 10,000 series");
    group.sample_size(20).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements((METRICS * SERIES) as u64));

    let registry = Registry::new();
    let stock = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
    let plain = Reader::new();
    let stock_meters = meters(stock.expect("a fresh registry takes the exporter"));
    let plain_meters = meters(plain.clone());
    for provider in [&stock_meters, &plain_meters] {
        let meter = provider.meter("bench");
        for metric in 0..METRICS {
            let builder = meter.f64_histogram(name(metric)).with_unit("s").with_boundaries(BOUNDARIES.to_vec());
            let histogram = builder.build();
            for series in 0..SERIES {
                VALUES.iter().for_each(|value| histogram.record(*value, &attributes(series)));
            }
        }
    }
    group.bench_function("baseline: opentelemetry-prometheus, gather and TextEncoder", |b| {
        b.iter(|| {
            let mut page = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut page).expect("a Vec takes all bytes");
            page
        });
    });
    let without = Exemplars::builder().build().expect("the defaults are valid").exposition(plain);
    for (format, accept) in [("text 0.0.4", None), ("OpenMetrics without exemplars", OPEN_METRICS)] {
        group.bench_function(format, |b| b.iter(|| without.render(accept).expect("the reader has a provider")));
    }

    let (with, _providers) = with_exemplars();
    let page = with.render(OPEN_METRICS).expect("the reader has a provider");
    let found = page.body.matches("trace_id").count();
    assert_eq!(found, METRICS * SERIES * VALUES.len(), "every exemplar is on the page");
    let timed = |page: &dyn Fn() -> Vec<u8>| {
        let start = Instant::now();
        std::hint::black_box(page());
        start.elapsed()
    };
    let stock = || {
        let mut page = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut page).expect("a Vec takes all bytes");
        page
    };
    let ours = |accept| with.render(accept).expect("the reader has a provider").body.into_bytes();
    paired::compare("/metrics, text 0.0.4", 20, 1, || timed(&stock), || timed(&|| ours(None)));
    paired::compare(
        "/metrics, OpenMetrics with 3 exemplars per series",
        20,
        1,
        || timed(&stock),
        || timed(&|| ours(OPEN_METRICS)),
    );
    group.bench_function("OpenMetrics with 3 exemplars per series", |b| {
        b.iter(|| with.render(OPEN_METRICS).expect("the reader has a provider"));
    });
    group.finish();
}

fn with_exemplars() -> (otel_exemplars::Exposition, (SdkMeterProvider, SdkTracerProvider)) {
    let series = METRICS * SERIES;
    let exemplars = Exemplars::builder().with_max_series(series).with_max_waiting(series * VALUES.len()).build();
    let exemplars = exemplars.expect("valid settings");
    let reader = Reader::new();
    let provider = meters(reader.clone());
    let processor = exemplars.watching(SimpleSpanProcessor::new(exemplars.acknowledging(SpanSink)));
    let tracers = SdkTracerProvider::builder().with_span_processor(processor).build();
    let meter = exemplars.meter(&provider, InstrumentationScope::builder("bench").build());
    let span = tracers.tracer("bench").start("request");
    let current = Context::current_with_span(span).attach();
    for metric in 0..METRICS {
        let builder = meter.f64_histogram(name(metric)).with_unit("s").with_boundaries(BOUNDARIES.to_vec());
        let histogram = builder.build();
        for series in 0..SERIES {
            let bound = histogram.bind(&attributes(series));
            VALUES.iter().for_each(|value| bound.record(*value));
        }
    }
    drop(current);
    (exemplars.exposition(reader), (provider, tracers))
}

criterion_group!(benches, exposition);
criterion_main!(benches);
