//! What sampling costs work that needs nothing but CPU: pairs of rounds without and with the recorder, in turn, on two threads
//! that enter a span for each unit of some 30 µs. The median of the pairs' ratios is printed, with its quartiles; the first line pairs
//! nothing with nothing and shows the noise.
//!
//! Then the recorder's memory at its worst, where each sample is in a span and a trace of its own, after as many samples as ten
//! minutes at 99 Hz give. They are taken at 249 Hz, which kernels with 250 ticks a second still serve one by one, in a window that
//! is shorter by as much.

use std::hint::black_box;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use span_profiler::{Profiler, RecorderState, SpanLabels};
use tracing::{Dispatch, dispatcher, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

const THREADS: u64 = 2;
const PAIRS: usize = 30;
const ROUND: Duration = Duration::from_millis(500);
const RATES: [u32; 3] = [0, 99, 997];

fn main() {
    tracing::subscriber::set_global_default(registry().with(SpanLabels::new())).expect("the first subscriber");
    println!("{PAIRS} pairs of {ROUND:?}, {THREADS} threads");
    println!("| recorder | throughput against none, median [quartiles] |\n|---|---|");
    for hz in RATES {
        let mut ratios: Vec<f64> = (0..PAIRS).map(|pair| pair_of(hz, pair % 2 == 0)).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [PAIRS / 4, PAIRS / 2, PAIRS * 3 / 4].map(|at| ratios[at]);
        println!("| {hz} Hz | {median:.4} [{low:.4}, {high:.4}] |");
    }
    let state = memory();
    println!("recorder: {} of {} bytes after {:?} at {} Hz", state.bytes, state.bytes_limit, state.covered, state.hz);
}

/// The recorder when its window is full.
fn memory() -> RecorderState {
    const HZ: u32 = 249;
    let window = Duration::from_secs(600) * 99 / HZ;
    let builder = Profiler::builder().with_recorder_hz(HZ).with_recorder_window(window);
    let (profiler, _guard) = builder.start().expect("nobody else profiles");
    let tracers = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn).build();
    let ids = tracing_opentelemetry::layer().with_tracer(tracers.tracer("bench"));
    let dispatch = Dispatch::new(registry().with(ids).with(SpanLabels::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| dispatcher::with_default(&dispatch, || work(window)));
        }
    });
    profiler.recorder().expect("it is on")
}

/// The ratio of one pair, its order given so that a drift of the machine does not look like a cost.
fn pair_of(hz: u32, without_first: bool) -> f64 {
    if without_first {
        let without = round(0);
        round(hz) / without
    } else {
        let with = round(hz);
        with / round(0)
    }
}

/// Units of work per second.
fn round(hz: u32) -> f64 {
    let guard = (hz > 0).then(|| Profiler::builder().with_recorder_hz(hz).start().expect("nobody else profiles"));
    let start = Instant::now();
    let workers: Vec<_> = (0..THREADS).map(|_| std::thread::spawn(|| work(ROUND))).collect();
    let units: u64 = workers.into_iter().map(|worker| worker.join().expect("the work does not panic")).sum();
    let rate = units as f64 / start.elapsed().as_secs_f64();
    drop(guard);
    rate
}

fn work(time: Duration) -> u64 {
    span_profiler::thread_started();
    let (end, mut units, mut state) = (Instant::now() + time, 0, 1_u64);
    while Instant::now() < end {
        info_span!("unit").in_scope(|| {
            for step in 0..15_000_u64 {
                state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
            }
        });
        units += 1;
    }
    units
}
