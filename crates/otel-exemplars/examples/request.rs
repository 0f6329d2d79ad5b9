//! One request whose exemplar stands on the page: `cargo run -p otel-exemplars --example request`
use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_exemplars::Exemplars;
use otlp_testkit::{Receiver, Signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Stands in for a collector; a service points OTEL_EXPORTER_OTLP_ENDPOINT at its own.
    let collector = Receiver::start()?;
    let exemplars = Exemplars::builder().build()?;
    let client = Arc::new(reqwest::blocking::Client::new());
    let spans = exemplars
        .http_span_exporter(client.clone(), |b| b.with_endpoint(collector.http_endpoint_of(Signal::Traces)))?;
    let metrics =
        exemplars.http_metric_exporter(client, |b| b.with_endpoint(collector.http_endpoint_of(Signal::Metrics)))?;
    let tracers =
        SdkTracerProvider::builder().with_span_processor(exemplars.span_processor(spans, Default::default())).build();
    let reader = PeriodicReader::builder(metrics).build();
    let meters = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let page = exemplars.exposition(reader);
    tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("shop"))).init();

    let meter = exemplars.meter(&meters, InstrumentationScope::builder("shop").build());
    let duration = meter.f64_histogram("checkout.duration").with_unit("s").with_boundaries(vec![0.1, 1.0]).build();
    let duration = duration.bind(&[KeyValue::new("payment", "card")]); // once; keep it
    tracing::info_span!("checkout").in_scope(|| duration.record(0.25)); // while the span is open

    tracers.force_flush()?; // the batch processor does this by itself, in time
    println!("{}", page.render(Some("application/openmetrics-text"))?.body);
    tracers.shutdown()?; // spans first: they acknowledge the last exemplars
    meters.shutdown()?;
    println!("{:?}", exemplars.stats());
    Ok(())
}
