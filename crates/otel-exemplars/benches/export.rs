//! What carrying exemplars adds to an export, against the stock exporter in the same run.
//!
//! `cargo bench -p otel-exemplars --bench export`
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Compression, MetricExporter, WithHttpConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{SdkTracerProvider, SimpleSpanProcessor, SpanData, SpanExporter};
use otel_exemplars::{BoundHistogram, Exemplars};

#[path = "support/paired.rs"]
mod paired;

/// 14 bounds, 15 buckets; the recorded values fill three of them.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const VALUES: [f64; 3] = [0.003, 0.3, 3.0];

/// Takes every request and answers with an empty success.
#[derive(Debug)]
struct Sink;

#[async_trait::async_trait]
impl HttpClient for Sink {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        std::hint::black_box(request);
        Ok(http::Response::new(Bytes::new()))
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

struct Bed {
    reader: PeriodicReader<otel_exemplars::ExemplarMetricExporter>,
    _meters: SdkMeterProvider,
    tracers: SdkTracerProvider,
    series: Vec<BoundHistogram>,
}

impl Bed {
    fn new(series: usize, exemplars: &Exemplars) -> Self {
        let never = Duration::from_secs(86_400);
        let reader_exporter = exemplars.http_metric_exporter(Arc::new(Sink), |b| b).expect("the defaults are valid");
        let reader = PeriodicReader::builder(reader_exporter).with_interval(never).build();
        let limit = move |_: &opentelemetry_sdk::metrics::Instrument| {
            Stream::builder().with_cardinality_limit(series + 1).build().ok()
        };
        let meters = SdkMeterProvider::builder().with_reader(reader.clone()).with_view(limit).build();
        let processor = exemplars.watching(SimpleSpanProcessor::new(exemplars.acknowledging(SpanSink)));
        let meter = exemplars.meter(&meters, InstrumentationScope::builder("bench").build());
        let histogram = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let bind = |number: usize| {
            histogram.bind(&[
                KeyValue::new("http.route", format!("/api/{number}")),
                KeyValue::new("http.request.method", "GET"),
                KeyValue::new("http.response.status_code", 200),
            ])
        };
        Self {
            reader,
            _meters: meters,
            tracers: SdkTracerProvider::builder().with_span_processor(processor).build(),
            series: (0..series).map(bind).collect(),
        }
    }

    /// Records into every series inside one span, exports that span and collects.
    fn collect(&self) -> ResourceMetrics {
        {
            let span = self.tracers.tracer("bench").start("request");
            let _current = Context::current_with_span(span).attach();
            for series in &self.series {
                VALUES.iter().for_each(|value| series.record(*value));
            }
        }
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics).expect("the reader has a provider");
        metrics
    }
}

fn export(c: &mut Criterion) {
    let mut group = c.benchmark_group("export");
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    for series in [1_000, 10_000] {
        let exemplars = Exemplars::builder().with_max_series(series).with_max_waiting(series * VALUES.len()).build();
        let exemplars = exemplars.expect("valid settings");
        let bed = Bed::new(series, &exemplars);
        for compression in [None, Some(Compression::Gzip)] {
            let name = if compression.is_some() { "gzip" } else { "plain" };
            let stock = MetricExporter::builder().with_http().with_http_client(Sink);
            let stock = if let Some(c) = compression { stock.with_compression(c) } else { stock };
            let stock = stock.build().expect("the defaults are valid");
            group.bench_function(BenchmarkId::new(format!("baseline: stock exporter, {name}"), series), |b| {
                b.iter_custom(|iterations| {
                    timed(iterations, || {
                        let metrics = bed.collect();
                        let start = Instant::now();
                        runtime.block_on(stock.export(&metrics)).expect("the sink takes all");
                        start.elapsed()
                    })
                });
            });
            let ours = exemplars
                .http_metric_exporter(
                    Arc::new(Sink),
                    |b| if let Some(c) = compression { b.with_compression(c) } else { b },
                )
                .expect("the defaults are valid");
            let run = |export: &dyn Fn(&ResourceMetrics)| {
                let metrics = bed.collect();
                let start = Instant::now();
                export(&metrics);
                start.elapsed()
            };
            paired::compare(
                &format!("export of {series} series with 3 exemplars each, {name}"),
                30,
                1,
                || run(&|metrics| runtime.block_on(stock.export(metrics)).expect("the sink takes all")),
                || run(&|metrics| runtime.block_on(ours.export(metrics)).expect("the sink takes all")),
            );
            group.bench_function(BenchmarkId::new(format!("3 exemplars per series, {name}"), series), |b| {
                let before = exemplars.stats().shipped;
                let mut exports = 0;
                b.iter_custom(|iterations| {
                    exports += iterations;
                    timed(iterations, || {
                        let metrics = bed.collect();
                        let start = Instant::now();
                        runtime.block_on(ours.export(&metrics)).expect("the sink takes all");
                        start.elapsed()
                    })
                });
                // The stock exports before left exemplars in the outbox, so the first export may carry more.
                let shipped = exemplars.stats().shipped - before;
                assert!(shipped >= (exports - 1) * (series * VALUES.len()) as u64, "each export was a full one");
            });
        }
    }
    group.finish();
}

fn timed(iterations: u64, mut run: impl FnMut() -> Duration) -> Duration {
    (0..iterations).map(|_| run()).sum()
}

criterion_group!(benches, export);
criterion_main!(benches);
