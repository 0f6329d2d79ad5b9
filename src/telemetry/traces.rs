//! The span pipeline: sampler, limits, batch processor, and the OTLP exporter that acknowledges.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{Compression as Otlp, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider, SpanLimits,
};
use otel_exemplars::Exemplars;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use super::export::{ExportHealth, Signal, Watched};
use super::tap::{Tap, Tapped};
use super::telemetry_error;
use crate::config::{Compression, Config, Export, Protocol, Sampler, span_export_timeout};
use crate::error::StartError;

/// Builds the tracer provider; without an exporter its spans still carry ids, and a tap still hears of them.
pub(super) fn provider(
    config: &Config,
    exemplars: &Exemplars,
    resource: Resource,
    health: &Arc<ExportHealth>,
    tap: Option<Arc<dyn Tap>>,
) -> Result<SdkTracerProvider, StartError> {
    let otel = &config.otel;
    let limits = SpanLimits {
        max_events_per_span: otel.limits.events,
        max_attributes_per_span: otel.limits.attributes,
        max_links_per_span: otel.limits.links,
        max_attributes_per_event: otel.limits.attributes_per_event,
        max_attributes_per_link: otel.limits.attributes_per_link,
    };
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler(otel.sampler))
        .with_span_limits(limits);
    let mut exporting = None;
    if let Some(export) = &otel.traces {
        let failed = telemetry_error("the span exporter");
        // The SDK's batch thread knows no limit of its own, so the exporter keeps the shorter of the two.
        let timeout = span_export_timeout(config);
        let exporter = match export.protocol {
            Protocol::HttpProtobuf => {
                let client = http_client(timeout)?;
                exemplars.http_span_exporter(Arc::new(client), |stock| {
                    let stock = stock.with_endpoint(&export.endpoint).with_timeout(timeout);
                    let stock = stock.with_headers(headers(export).collect());
                    match export.compression {
                        Compression::Gzip => stock.with_compression(Otlp::Gzip),
                        Compression::None => stock,
                    }
                })
            }
            Protocol::Grpc => exemplars.grpc_span_exporter(channel(export, timeout)?, timeout, |stock| {
                let stock = stock.with_metadata(metadata(export));
                match export.compression {
                    Compression::Gzip => stock.with_compression(Otlp::Gzip),
                    Compression::None => stock,
                }
            }),
        }
        .map_err(failed)?;
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(otel.batch.max_queue_size)
            .with_max_export_batch_size(otel.batch.max_export_batch_size)
            .with_scheduled_delay(otel.batch.schedule_delay)
            .build();
        let watched = Watched::new(exporter, Signal::Traces, health);
        exporting = Some(BatchSpanProcessor::new(watched, batch));
    }
    if exporting.is_none() && tap.is_none() {
        return Ok(builder.build());
    }
    let tapped = Tapped::new(tap, exporting);
    Ok(builder.with_span_processor(exemplars.watching(tapped)).build())
}

fn sampler(sampler: Sampler) -> SdkSampler {
    let parent_based = |root| SdkSampler::ParentBased(Box::new(root));
    match sampler {
        Sampler::AlwaysOn => SdkSampler::AlwaysOn,
        Sampler::AlwaysOff => SdkSampler::AlwaysOff,
        Sampler::TraceIdRatio(share) => SdkSampler::TraceIdRatioBased(share),
        Sampler::ParentBasedAlwaysOn => parent_based(SdkSampler::AlwaysOn),
        Sampler::ParentBasedAlwaysOff => parent_based(SdkSampler::AlwaysOff),
        Sampler::ParentBasedTraceIdRatio(share) => parent_based(SdkSampler::TraceIdRatioBased(share)),
    }
}

/// A client for the SDK's threads, which have no reactor. It refuses to be built inside a runtime, hence the thread.
pub(super) fn http_client(timeout: Duration) -> Result<reqwest::blocking::Client, StartError> {
    let builder = move || reqwest::blocking::Client::builder().timeout(timeout).build();
    std::thread::Builder::new()
        .name("otlp-client".to_owned())
        .spawn(builder)
        .map_err(|source| StartError::Setup { what: "a thread", source })?
        .join()
        .expect("building a client does not panic")
        .map_err(telemetry_error("the HTTP client of the exporters"))
}

/// A channel that connects with its first call and again after each loss.
pub(super) fn channel(export: &Export, timeout: Duration) -> Result<Channel, StartError> {
    let endpoint =
        Endpoint::from_shared(export.endpoint.clone()).map_err(telemetry_error("the gRPC channel of the exporters"))?;
    Ok(endpoint.connect_timeout(timeout).connect_lazy())
}

pub(super) fn headers(export: &Export) -> impl Iterator<Item = (String, String)> {
    export.headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
}

pub(super) fn metadata(export: &Export) -> MetadataMap {
    MetadataMap::from_headers(export.headers.iter().cloned().collect())
}
