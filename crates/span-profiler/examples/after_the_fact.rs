//! A request, and afterwards its CPU profile: `cargo run -p span-profiler --example after_the_fact`
use std::hint::black_box;

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use span_profiler::{Filter, Profiler, SpanLabels};
use tracing::info_span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (profiler, _guard) = Profiler::builder().start()?; // the recorder runs until the guard is dropped
    let tracers = SdkTracerProvider::builder().build(); // and your exporter
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracers.tracer("shop")))
        .with(SpanLabels::new()) // after the layer that makes the ids
        .init();

    let checkout = info_span!("checkout");
    let trace_id = u128::from_be_bytes(checkout.context().span().span_context().trace_id().to_bytes());
    checkout.in_scope(|| {
        info_span!("price").in_scope(|| price(120_000_000));
        info_span!("render").in_scope(|| render(40_000_000));
    });

    for span in profiler.spans_of(trace_id) {
        println!("{:016x} {:8} {:.2?}", span.span_id, span.name, span.cpu);
    }
    let filter = Filter { trace_id: Some(trace_id), ..Filter::default() };
    let profile = profiler.recorded(&filter).symbolize();
    println!("{}", profile.top(1)[0].name); // by value 1, the CPU time
    std::fs::write("checkout.pb.gz", profile.to_pprof())?;
    std::fs::write("checkout.svg", profile.flamegraph("checkout", 1))?;
    Ok(())
}

#[inline(never)]
fn price(steps: u64) -> u64 {
    let (mut sum, mut step) = (1, 0);
    while step < steps {
        sum = (sum ^ step) % 1_000_003 + 31;
        step += 1;
    }
    black_box(sum)
}

#[inline(never)]
fn render(steps: u64) -> u64 {
    let (mut sum, mut step) = (7, 0);
    while step < steps {
        sum = (sum + step) % 1_000_033;
        step += 1;
    }
    black_box(sum)
}
