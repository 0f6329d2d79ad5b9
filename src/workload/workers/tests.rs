//! Both workers do the same; what differs is what they leave. Catches: a result that depends on the way or the order, tasks that
//! are lost or done twice, leaks where there should be none, spans that outlive their task.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;

use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tokio::time::sleep;

use super::*;
use crate::config::Config;
use crate::telemetry;

const BOTH: [WorkerKind; 2] = [WorkerKind::Bad, WorkerKind::Optimized];

fn telemetry() -> Telemetry {
    let env = HashMap::from([
        ("PHASELAB_DATABASE", ":memory:"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ]);
    let (config, _) = Config::read(&env, &[]).unwrap();
    telemetry::start(&config).unwrap().0
}

/// One task a second, by eight workers who wait for nobody.
fn plan(kind: WorkerKind, tasks: u64) -> Plan {
    Plan { kind, tasks, workers: 8, duration: Duration::from_secs(tasks), latency: Latency::default() }
}

async fn run_all(plan: &Plan) -> Summary {
    run(plan, &telemetry(), pending(), Duration::ZERO).await
}

#[tokio::test(start_paused = true)]
async fn equal_tasks_have_equal_results() {
    let [bad, optimized] = [run_all(&plan(BOTH[0], 150)).await, run_all(&plan(BOTH[1], 150)).await];
    assert_eq!(bad, optimized);
    assert_eq!((bad.accepted, bad.ledger.processed, bad.ledger.failed, bad.abandoned()), (150, 150, 3, 0));
    // Other tasks have other results, and so has one task more.
    assert_ne!(bad.ledger.checksum, run_all(&plan(BOTH[1], 151)).await.ledger.checksum);
}

/// The slope of a line through the points, by least squares, and its standard error.
fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let n = f64::from(u32::try_from(points.len()).unwrap());
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x0, y0) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - x0).powi(2)).sum();
    let slope = points.iter().map(|(x, y)| (x - x0) * (y - y0)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|(x, y)| (y - y0 - slope * (x - x0)).powi(2)).sum();
    (slope, (rest / (n - 2.0) / spread).sqrt())
}

#[tokio::test(start_paused = true)]
async fn only_the_bad_one_leaves_tasks_behind() {
    for kind in BOTH {
        let running = tokio::spawn(async move { run_all(&plan(kind, 60)).await });
        let mut alive = Vec::new();
        for second in 0..58_u32 {
            sleep(Duration::from_secs(1)).await;
            let tasks = u32::try_from(Handle::current().metrics().num_alive_tasks()).unwrap();
            alive.push((f64::from(second), f64::from(tasks)));
        }
        let (slope, error) = slope(&alive);
        match kind {
            WorkerKind::Bad => assert!((slope - 1.0).abs() < 0.1 && error < 0.05, "{slope} ± {error}: {alive:?}"),
            WorkerKind::Optimized => assert!(slope.abs() <= 2.0 * error + 0.01, "{slope} ± {error}: {alive:?}"),
        }
        assert_eq!(running.await.unwrap().ledger.processed, 60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_the_source_wait_and_loses_nothing() {
    // A task takes a second, and all of them come within one.
    let latency = Latency { fetch: Duration::from_secs(1), deliver: Duration::ZERO };
    let busy = Plan { latency, workers: 2, duration: Duration::from_secs(1), ..plan(WorkerKind::Optimized, 700) };
    let (entry, exit) = queue::queue();
    let waiting = entry.waiting();
    let filling = tokio::spawn(async move { entry.fill(&busy, pin!(pending())).await });
    sleep(Duration::from_secs(2)).await;
    assert_eq!(waiting.count(), queue::CAPACITY);
    let mut taken = Vec::new();
    while let Some(task) = exit.take().await {
        taken.push(task.id);
    }
    assert_eq!(taken, (0..700).collect::<Vec<_>>());
    assert_eq!((filling.await.unwrap(), waiting.count()), (700, 0));
    let calm = run_all(&plan(WorkerKind::Optimized, 700)).await;
    assert_eq!(run_all(&busy).await, calm);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_finished_or_reported() {
    let latency = Latency { fetch: Duration::from_secs(1), deliver: Duration::ZERO };
    let slow = Plan { latency, workers: 2, duration: Duration::from_secs(20), ..plan(WorkerKind::Optimized, 100) };
    let stopped = async |limit| run(&slow, &telemetry(), sleep(Duration::from_secs(10)), limit).await;
    let patient = stopped(Duration::from_secs(60)).await;
    assert!((45..=55).contains(&patient.accepted), "{patient:?}");
    assert_eq!((patient.ledger.processed, patient.abandoned()), (patient.accepted, 0));
    let hasty = stopped(Duration::from_secs(5)).await;
    assert_eq!(hasty.accepted, patient.accepted);
    assert!((25..=30).contains(&hasty.ledger.processed) && hasty.abandoned() > 0, "{hasty:?}");
    // Also after the last task has come.
    let late = Plan { duration: Duration::from_secs(1), ..slow };
    let late = run(&late, &telemetry(), sleep(Duration::from_secs(10)), Duration::from_secs(1)).await;
    assert!(late.accepted == 100 && late.abandoned() > 70, "{late:?}");
}

#[tokio::test]
async fn what_grows_has_a_cap() {
    let bad = bad::Bad::new(Latency::default());
    for _ in 0..bad::MAX_LEFT_BEHIND + 10 {
        bad.leave_behind_a_task();
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), bad::MAX_LEFT_BEHIND);
    let text = "x".repeat(1 << 20);
    for _ in 0..70 {
        bad.remember_everything(&text);
    }
    assert_eq!(bad.remembered_bytes(), bad::MAX_HISTORY_BYTES);
}

/// All spans that have ended by the time at which four of five tasks are done and the run is not over.
async fn spans(kind: WorkerKind) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let subscriber = telemetry::logs::subscriber(
        "off",
        Some(provider.tracer("test")),
        false,
        tracing_subscriber::layer::Identity::new(),
    );
    let _installed = tracing::subscriber::set_default(subscriber);
    let running = tokio::spawn(async move { run_all(&plan(kind, 5)).await });
    sleep(Duration::from_millis(3_500)).await;
    running.abort();
    exporter.get_finished_spans().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_task_is_one_trace_and_no_span_outlives_it() {
    for kind in BOTH {
        // Tests beside this one meet the same spans without a subscriber, and whether anybody wants a span is asked once for each
        // new subscriber: after a first round with one, all of them are known.
        drop(spans(kind).await);
        let mut traces: BTreeMap<_, Vec<SpanData>> = BTreeMap::new();
        for span in spans(kind).await {
            traces.entry(span.span_context.trace_id().to_bytes()).or_default().push(span);
        }
        assert_eq!(traces.len(), 4);
        for mut trace in traces.into_values() {
            let root = trace.pop().unwrap();
            assert_eq!((&*root.name, root.parent_span_id), ("worker_task", SpanId::INVALID), "the root ends last");
            let names: Vec<_> = trace.iter().map(|span| &*span.name).collect();
            assert_eq!(names, ["fetch", "transform", "settle"]);
            let inside =
                |span: &SpanData| span.parent_span_id == root.span_context.span_id() && span.end_time <= root.end_time;
            assert!(trace.iter().all(inside), "{trace:?}");
            let mut keys: Vec<_> = root.attributes.iter().map(|one| one.key.as_str()).collect();
            keys.retain(|key| key.starts_with("worker") || *key == "operation");
            keys.sort_unstable();
            assert_eq!(keys, ["operation", "worker.task.id", "worker_type"]);
        }
    }
}
