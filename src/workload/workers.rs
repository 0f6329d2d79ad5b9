//! Workers over a bounded queue, once with the mistakes that real programs make and once without.
//!
//! [`task`] is what is to be done, the same for both, and what it comes to; [`queue`] brings it; [`bad`] and [`optimized`] do it;
//! [`mod@unit`] gives each task its trace and its records.

pub mod bad;
mod optimized;
pub mod queue;
pub mod task;
mod unit;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use span_profiler::tasks::Tracked;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{WorkerKind, WorkerSettings};
use crate::telemetry::{Telemetry, WorkerInstruments};
use queue::Exit;
use task::{Ledger, Malformed, Task};
use unit::Records;

/// How long others take, who are asked for texts and given receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Until a text is there.
    pub fetch: Duration,
    /// Until a receipt is delivered.
    pub deliver: Duration,
}

impl Latency {
    /// That of a machine in the same room.
    pub const NEAR: Self = Self { fetch: Duration::from_millis(2), deliver: Duration::from_millis(1) };
}

/// What a worker has to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How it does it.
    pub kind: WorkerKind,
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks that are worked on at once.
    pub workers: usize,
    /// The time over which the tasks come, evenly.
    pub duration: Duration,
    /// How long others take.
    pub latency: Latency,
}

impl Plan {
    /// The configured plan.
    #[must_use]
    pub fn new(kind: WorkerKind, settings: &WorkerSettings) -> Self {
        let WorkerSettings { tasks, workers, duration } = *settings;
        Self { kind, tasks, workers, duration, latency: Latency::NEAR }
    }

    /// When a task comes, counted from the first one.
    fn due(&self, id: u64) -> Duration {
        let nanos = self.duration.as_nanos() * u128::from(id) / u128::from(self.tasks.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Tasks that came into the queue.
    pub accepted: u64,
    /// Results of those that were worked on to their end.
    pub ledger: Ledger,
}

impl Summary {
    /// Tasks that were cut off when the process stopped.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.accepted - self.ledger.processed
    }
}

/// A way to do tasks.
trait Method: Send + Sync + 'static {
    /// Does one inside the current span, and enters its result into the ledger.
    fn process(&self, task: Task) -> impl Future<Output = Result<(), Malformed>> + Send;

    /// All results so far.
    fn ledger(&self) -> Ledger;
}

/// Does all tasks of the plan. When `stop` resolves, no more tasks come, and those in the queue may take `limit` to be done.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn run(plan: &Plan, telemetry: &Telemetry, stop: impl Future<Output = ()>, limit: Duration) -> Summary {
    match plan.kind {
        WorkerKind::Bad => run_as(bad::Bad::new(plan.latency), plan, telemetry, stop, limit).await,
        WorkerKind::Optimized => run_as(optimized::Optimized::new(plan.latency), plan, telemetry, stop, limit).await,
    }
}

async fn run_as<M: Method>(
    method: M,
    plan: &Plan,
    telemetry: &Telemetry,
    stop: impl Future<Output = ()>,
    limit: Duration,
) -> Summary {
    let (entry, exit) = queue::queue();
    let (waiting, runtime) = (entry.waiting(), Handle::current().metrics());
    let instruments = WorkerInstruments::new(
        &telemetry.instruments,
        plan.kind.name(),
        move || runtime.num_alive_tasks(),
        move || waiting.count(),
    );
    let records = Records::new(&instruments, plan.kind, telemetry);
    let shared = Arc::new((method, exit, records));
    let mut workers = JoinSet::new();
    for _ in 0..plan.workers {
        let shared = Arc::clone(&shared);
        workers.spawn(Tracked::new("worker", async move { work(&shared.0, &shared.1, &shared.2).await }));
    }
    let mut stop = pin!(stop);
    let accepted = entry.fill(plan, stop.as_mut()).await;
    let stopped = accepted < plan.tasks
        || tokio::select! {
            () = ended(&mut workers) => false,
            () = stop => true,
        };
    if stopped {
        // Whoever is not done by then is cut off with the workers.
        let _ = timeout(limit, ended(&mut workers)).await;
        workers.shutdown().await;
    }
    Summary { accepted, ledger: shared.0.ledger() }
}

/// One worker: takes tasks until there are no more.
async fn work(method: &impl Method, exit: &Exit, records: &Records) {
    while let Some(task) = exit.take().await {
        records.unit(task, method.process(task)).await;
    }
}

async fn ended(workers: &mut JoinSet<()>) {
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a worker has ended before its time");
        }
    }
}

#[cfg(test)]
mod tests;
