//! Everything that is hard to profile, at once.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use span_profiler::tasks::spawn_named;
use tokio::runtime::Runtime;
use tracing::{Instrument as _, info_span};

use crate::rig::burn;

/// Tasks that wait for an hour.
const IDLE_TASKS: usize = 10_000;

/// Tasks that answer requests.
const SERVERS: usize = 8;

/// A load that runs.
pub(crate) struct Load {
    pub(crate) requests: Arc<AtomicU64>,
    pub(crate) panics: Arc<AtomicU64>,
    pub(crate) threads: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    runtime: Runtime,
    others: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start() -> Self {
        // A panic is part of the load, and thousands of messages are none of the test's output.
        std::panic::set_hook(Box::new(|info| {
            if !info.payload().is::<Expected>() {
                eprintln!("{info}");
            }
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .on_thread_start(span_profiler::thread_started)
            .build()
            .unwrap();
        let [requests, panics, threads] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let entered = runtime.enter();
        for _ in 0..IDLE_TASKS {
            spawn_named("idle", tokio::time::sleep(Duration::from_secs(3600)));
        }
        for server in 0..SERVERS {
            spawn_named("server", serve(server as u64, Arc::clone(&requests)));
        }
        spawn_named("blocker", async {
            loop {
                tokio::time::sleep(Duration::from_millis(700)).await;
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        spawn_named("panics", panic_often(Arc::clone(&panics)));
        drop(entered);
        let others = vec![short_threads(&stop, &threads), full_stacks(&stop)];
        Self { requests, panics, threads, stop, runtime, others }
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for other in self.others {
            other.join().unwrap();
        }
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

/// Requests of some 2 ms with spans over awaits, one after the other.
async fn serve(server: u64, requests: Arc<AtomicU64>) {
    for number in 0_u64.. {
        let request = number * SERVERS as u64 + server + 1;
        let work = async {
            tokio::task::yield_now().instrument(info_span!("query", request)).await;
            info_span!("compute", request).in_scope(|| spin(black_box(100_000)));
            tokio::time::sleep(Duration::from_micros(100)).instrument(info_span!("wait", request)).await;
            info_span!("encode", request).in_scope(|| {
                let rows: Vec<Vec<u8>> = (0..50).map(|row| vec![0; 1_000 + 100 * row]).collect();
                black_box(rows);
            });
        };
        work.instrument(info_span!(parent: None, "request", request)).await;
        requests.fetch_add(1, Ordering::Relaxed);
    }
}

#[inline(never)]
fn spin(steps: u64) {
    let mut state = black_box(1_u64);
    for step in 0..steps {
        state = (state << 7) ^ (state >> 9) ^ step;
    }
    black_box(state);
}

/// The payload of panics that are meant.
struct Expected;

async fn panic_often(panics: Arc<AtomicU64>) {
    loop {
        let task = spawn_named("panicking", async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            std::panic::panic_any(Expected)
        });
        let result: Result<(), _> = task.await;
        panics.fetch_add(u64::from(result.is_err_and(|error| error.is_panic())), Ordering::Relaxed);
    }
}

fn short_threads(stop: &Arc<AtomicBool>, threads: &Arc<AtomicU64>) -> JoinHandle<()> {
    let (stop, threads) = (Arc::clone(stop), Arc::clone(threads));
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let short = std::thread::spawn(|| {
                let end = Instant::now() + Duration::from_millis(2);
                while Instant::now() < end {
                    info_span!("short").in_scope(|| spin(1_000));
                }
            });
            short.join().unwrap();
            threads.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

fn full_stacks(stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let small = std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
                let here = black_box(0_u8);
                fill(std::ptr::from_ref(&here) as usize - (48 << 10));
            });
            small.unwrap().join().unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

/// Goes down to an address of the stack and computes there.
#[inline(never)]
fn fill(until: usize) -> usize {
    let here = black_box([0_usize; 2]);
    if std::ptr::from_ref(&here) as usize <= until {
        burn(Duration::from_millis(10));
        return here[0];
    }
    fill(until) + black_box(here)[1]
}
