//! Work whose shares are known: units of a fixed number of steps, each in a function of its own.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use tracing::{Instrument as _, info_span};

use crate::rig::process_cpu;

/// The spans, whose functions are called `compute_` and then this.
pub(crate) const NAMES: [&str; 3] = ["small", "medium", "large"];

/// Their parts of the time.
pub(crate) const SHARES: [f64; 3] = [0.125, 0.25, 0.625];

/// Steps of the smallest unit: some 100 µs.
const STEPS: u64 = 60_000;

/// Two ways to do it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Two workers, each computing in the spans in turn.
    Workers,
    /// Sixteen tasks that yield between units, so that spans move from thread to thread.
    Hopping,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workers => "two workers",
            Self::Hopping => "tasks that hop",
        })
    }
}

impl Work {
    /// Works until the process has used so much more CPU time: on a busy machine that takes longer, and gives as many samples.
    pub(crate) fn run(self, cpu: Duration) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(span_profiler::thread_started)
            .build()
            .unwrap();
        let end = process_cpu() + cpu;
        let tasks = match self {
            Self::Workers => 2,
            Self::Hopping => 16,
        };
        let tasks: Vec<_> = (0..tasks).map(|_| runtime.spawn(self.task(end))).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    async fn task(self, end: Duration) {
        while process_cpu() < end {
            match self {
                Self::Workers => {
                    info_span!("small").in_scope(|| compute_small(STEPS));
                    info_span!("medium").in_scope(|| compute_medium(2 * STEPS));
                    info_span!("large").in_scope(|| compute_large(5 * STEPS));
                    tokio::task::yield_now().await;
                }
                Self::Hopping => {
                    let small = async {
                        compute_small(STEPS);
                        tokio::task::yield_now().await;
                    };
                    small.instrument(info_span!("small")).await;
                    let medium = async {
                        for _ in 0..2 {
                            compute_medium(STEPS);
                            tokio::task::yield_now().await;
                        }
                    };
                    medium.instrument(info_span!("medium")).await;
                    let large = async {
                        for _ in 0..5 {
                            compute_large(STEPS);
                            tokio::task::yield_now().await;
                        }
                    };
                    large.instrument(info_span!("large")).await;
                }
            }
        }
    }
}

/// Three functions that differ in constants only; equal ones would be merged into one. Without a call in them, also when
/// nothing is optimised, so that the leaf of a sample is the function itself.
macro_rules! compute {
    ($($name:ident: $left:literal $right:literal),*) => {$(
        #[inline(never)]
        fn $name(steps: u64) {
            let mut state = black_box(1_u64);
            let mut step = 0;
            while step < steps {
                state = (state << $left) ^ (state >> $right) ^ step;
                step += 1;
            }
            black_box(state);
        }
    )*};
}

compute!(compute_small: 13 7, compute_medium: 17 5, compute_large: 19 3);
