//! Stock exporters pointed at a receiver.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanId, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otlp_testkit::{Protocol, Receiver, Signal};

/// Longer than any answer here takes; it only ends tests that fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn tracer(receiver: &Receiver, protocol: Protocol) -> SdkTracerProvider {
    let exporter = match protocol {
        Protocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(receiver.grpc_endpoint())
            .with_compression(Compression::Gzip)
            .with_metadata(metadata())
            .build(),
        Protocol::HttpProtobuf => SpanExporter::builder()
            .with_http()
            .with_endpoint(receiver.http_endpoint_of(Signal::Traces))
            .with_compression(Compression::Gzip)
            .with_headers(HashMap::from([("x-tenant".to_owned(), "a".to_owned())]))
            .build(),
    };
    SdkTracerProvider::builder().with_batch_exporter(exporter.unwrap()).build()
}

pub(crate) fn meter(receiver: &Receiver, protocol: Protocol) -> SdkMeterProvider {
    let exporter = match protocol {
        Protocol::Grpc => MetricExporter::builder().with_tonic().with_endpoint(receiver.grpc_endpoint()).build(),
        Protocol::HttpProtobuf => {
            MetricExporter::builder().with_http().with_endpoint(receiver.http_endpoint_of(Signal::Metrics)).build()
        }
    };
    SdkMeterProvider::builder().with_periodic_exporter(exporter.unwrap()).build()
}

pub(crate) fn emit_span(provider: &SdkTracerProvider) -> SpanId {
    let mut span = provider.tracer("clients").start("one");
    span.set_attribute(KeyValue::new("exemplar", true));
    span.end();
    span.span_context().span_id()
}

pub(crate) fn emit_record(provider: &SdkMeterProvider) {
    provider.meter("clients").f64_histogram("waiting").with_unit("s").build().record(0.25, &[]);
}

fn metadata() -> tonic::metadata::MetadataMap {
    let mut metadata = tonic::metadata::MetadataMap::new();
    metadata.insert("x-tenant", "a".parse().unwrap());
    metadata
}
