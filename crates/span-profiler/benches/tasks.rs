//! What tracking adds to a task's poll, while nothing is recorded and while an execution trace is; and what a dump costs.
//!
//! `cargo bench -p span-profiler --bench tasks`
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use span_profiler::execution::Recording;
use span_profiler::tasks::{Tracked, dump_blocking, spawn_named_on};

/// Polls between two recordings: two events each, below what one keeps.
const POLLS: u64 = 100_000;

fn waits() -> impl Future<Output = ()> {
    poll_fn(|_| black_box(Poll::Pending))
}

fn poll(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("poll");
    let mut context = Context::from_waker(Waker::noop());
    let mut plain = pin!(waits());
    group.bench_function("untracked", |bencher| bencher.iter(|| black_box(plain.as_mut().poll(&mut context))));
    let mut tracked = pin!(Tracked::new("bench", waits()));
    group.bench_function("tracked", |bencher| bencher.iter(|| black_box(tracked.as_mut().poll(&mut context))));
    group.bench_function("tracked, recording", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut time = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let recording = Recording::start().expect("no other recording");
                let now = left.min(POLLS);
                let began = Instant::now();
                for _ in 0..now {
                    let _ = black_box(tracked.as_mut().poll(&mut context));
                }
                time += began.elapsed();
                assert_eq!(recording.finish().lost(), 0);
                left -= now;
            }
            time
        });
    });
    group.finish();
}

/// The same through tokio: a task that yields is woken, scheduled and polled.
fn turn(criterion: &mut Criterion) {
    const TURNS: u32 = 1_000;
    let mut group = criterion.benchmark_group("1,000 turns of a task");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let turns = || async {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    };
    group.bench_function("untracked", |bencher| {
        bencher.iter(|| runtime.block_on(async { tokio::spawn(turns()).await }).expect("it does not panic"));
    });
    group.bench_function("tracked", |bencher| {
        let task = || async { span_profiler::tasks::spawn_named("bench", turns()).await };
        bencher.iter(|| runtime.block_on(task()).expect("it does not panic"));
    });
    group.finish();
}

fn dump(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dump");
    group.sample_size(20);
    for tasks in [1_000, 10_000] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        for _ in 0..tasks {
            // Registers its waker as a task that waits for a message does.
            let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
            spawn_named_on("bench", async move { receiver.await.map_or((), drop) }, runtime.handle());
            std::mem::forget(sender);
        }
        let all = || dump_blocking(Duration::from_secs(10));
        // The first one also waits for the first polls.
        while all().silent() > 0 {}
        group.bench_function(format!("{tasks} tasks"), |bencher| bencher.iter(|| black_box(all().tasks.len())));
        runtime.shutdown_background();
    }
    group.finish();
}

criterion_group!(benches, poll, turn, dump);
criterion_main!(benches);
