//! What the label layer adds to entering and leaving a span: a registry alone is the baseline of the same run.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use span_profiler::{Profiler, SpanLabels};
use tracing::{Dispatch, dispatcher, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

fn enter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enter and exit");
    group.sample_size(100).measurement_time(Duration::from_secs(3));
    let mut measure = |name: &str, dispatch: &Dispatch| {
        dispatcher::with_default(dispatch, || {
            let span = info_span!("measured");
            group.bench_function(name, |bencher| bencher.iter(|| black_box(&span).in_scope(|| black_box(1))));
        });
    };
    measure("registry", &Dispatch::new(registry()));
    measure("registry + labels", &Dispatch::new(registry().with(SpanLabels::new())));
    let (profiler, guard) = Profiler::builder().with_recorder_hz(99).start().expect("nobody else profiles");
    let capture = profiler.capture(997).expect("no other capture");
    measure("registry + labels, profile at 997 Hz", &Dispatch::new(registry().with(SpanLabels::new())));
    drop(capture.finish());
    drop(guard);
    measure("registry + labels, profiler stopped", &Dispatch::new(registry().with(SpanLabels::new())));
    group.finish();
}

fn create(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open, enter, exit and close");
    group.sample_size(100).measurement_time(Duration::from_secs(3));
    let mut measure = |name: &str, dispatch: &Dispatch| {
        dispatcher::with_default(dispatch, || {
            group.bench_function(name, |bencher| bencher.iter(|| info_span!("measured").in_scope(|| black_box(1))));
        });
    };
    measure("registry", &Dispatch::new(registry()));
    measure("registry + labels", &Dispatch::new(registry().with(SpanLabels::new())));
    group.finish();
}

criterion_group!(benches, enter, create);
criterion_main!(benches);
