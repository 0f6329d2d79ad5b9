//! Load without a use: a loop that keeps cores busy, and memory that is allocated to be thrown away.
//!
//! Both run on threads for blocking work and not on the workers of the runtime. Each piece of work is a short trace, so that
//! profiles know the span.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Cancel, Parameter, Run, Running, Scenario, Unit};

/// How long a piece of work is: some traces per second, and ended soon.
const PIECE: Duration = Duration::from_millis(200);

const CPU: [Parameter; 2] = [
    Parameter {
        name: "threads",
        about: "threads that are kept busy",
        unit: Unit::Of("threads"),
        default: 1,
        min: 1,
        max: 16,
    },
    Parameter::DURATION,
];

pub(super) const CPU_BOTTLENECK: Scenario = Scenario {
    name: "cpu-bottleneck",
    summary: "keeps threads busy with a loop that nobody needs",
    parameters: &CPU,
    run: bottleneck,
};

fn bottleneck(Run { values, cancel, .. }: Run) -> Running {
    Box::pin(async move {
        on_threads(values.get(&CPU[0]), cancel, |cancel| {
            while !cancel.is_cancelled() {
                tracing::info_span!(parent: None, "cpu_bottleneck").in_scope(|| hot_loop(cancel));
            }
        })
        .await;
    })
}

// With a frame of its own, so that a profile names it.
#[inline(never)]
fn hot_loop(cancel: &Cancel) {
    /// Some milliseconds.
    const ITERATIONS: u64 = 1_000_000;
    let started = Instant::now();
    let mut state = 1_u64;
    while started.elapsed() < PIECE && !cancel.is_cancelled() {
        for one in 0..ITERATIONS {
            state = (state ^ one).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        }
    }
    black_box(state);
}

const CHURN: [Parameter; 3] = [
    Parameter {
        name: "rate",
        about: "how much is allocated",
        unit: Unit::Of("MiB per second"),
        default: 200,
        min: 1,
        max: 2_000,
    },
    Parameter {
        name: "size",
        about: "how large each allocation is",
        unit: Unit::Of("bytes"),
        default: 1_024,
        min: 128,
        max: 1 << 20,
    },
    Parameter::DURATION,
];

pub(super) const ALLOCATION_CHURN: Scenario = Scenario {
    name: "allocation-churn",
    summary: "allocates memory and throws it away at once",
    parameters: &CHURN,
    run: churn,
};

fn churn(Run { values, cancel, .. }: Run) -> Running {
    let (rate, size) = (values.get(&CHURN[0]), values.get(&CHURN[1]));
    // At most 3.3 million allocations, which a core does in time.
    let count = ((rate << 20) * u64::try_from(PIECE.as_millis()).unwrap_or(u64::MAX) / 1_000 / size).max(1);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Box::pin(async move {
        on_threads(1, cancel, move |cancel| {
            while !cancel.is_cancelled() {
                let started = Instant::now();
                tracing::info_span!(parent: None, "allocation_churn")
                    .in_scope(|| allocate_in_loop(cancel, count, size));
                std::thread::sleep(PIECE.saturating_sub(started.elapsed()));
            }
        })
        .await;
    })
}

// With a frame of its own, so that a profile names it.
#[inline(never)]
fn allocate_in_loop(cancel: &Cancel, count: u64, size: usize) {
    /// Allocations between two looks at the cancellation.
    const STRIDE: u64 = 4_096;
    for one in 0..count {
        if one % STRIDE == 0 && cancel.is_cancelled() {
            return;
        }
        let mut memory = Vec::with_capacity(size);
        memory.push(1_u8);
        drop(black_box(memory));
    }
}

/// Runs something on this many threads until the scenario is cancelled and all of them have seen it.
async fn on_threads(threads: u64, mut cancel: Cancel, work: impl Fn(&Cancel) + Clone + Send + 'static) {
    let mut running = JoinSet::new();
    for _ in 0..threads {
        let (work, cancel) = (work.clone(), cancel.clone());
        running.spawn_blocking(move || work(&cancel));
    }
    cancel.cancelled().await;
    while running.join_next().await.is_some() {}
}
