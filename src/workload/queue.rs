//! A bounded queue of tasks, which are done one after the other by a few workers.
//!
//! When it is full a task is rejected at once: its sender is told, and can try again later. A queue without a bound would
//! accept it, make all tasks late, and end with the memory. Once accepted, a task is done exactly once.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use serde::Serialize;
use span_profiler::tasks::spawn_named;
use tokio::sync::{Notify, watch};
use tracing::Instrument as _;

use crate::names::{self, attribute};
use crate::telemetry::Instruments;

/// Tasks that wait at most: with tasks of 50 ms the last of them waits for 1.25 s, which a client can bear.
pub const CAPACITY: usize = 100;

/// Tasks that are done at once.
pub const WORKERS: usize = 4;

/// The longest task: its trace is complete before a collector decides on it.
pub const MAX_WORK: Duration = Duration::from_secs(10);

/// Tasks that are named when they are given up.
const NAMED: usize = 16;

/// A queue; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Wakes a worker for each task that comes.
    came: Notify,
    /// Tells that the last task is done.
    idle: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    /// The tasks that are being done.
    running: Vec<u64>,
    /// What all that wait will take together.
    work: Duration,
    counts: Counts,
    /// Workers are started with the first task.
    started: bool,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    id: u64,
    work: Duration,
    request: SpanContext,
}

/// What became of all tasks: `accepted` is `depth + running + processed + withdrawn`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that wait.
    pub depth: usize,
    /// Tasks that are being done.
    pub running: usize,
    /// Tasks that were let in; the number of a task is this count after it.
    pub accepted: u64,
    /// Tasks that are done.
    pub processed: u64,
    /// Tasks that were taken back by who sent them, before they began.
    pub withdrawn: u64,
    /// Tasks that were turned away.
    pub rejected: u64,
}

/// Why a task was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// As many tasks wait as may; after this time they will have been done.
    #[error("the queue is full")]
    Full {
        /// How long the workers take for all that wait.
        empty_in: Duration,
    },
    /// The service stops.
    #[error("the service is stopping")]
    Closed,
}

impl Queue {
    /// An empty queue, with its instruments.
    #[must_use]
    pub fn new(instruments: &Instruments) -> Self {
        let queue =
            Self(Arc::new(Inner { state: Mutex::default(), came: Notify::new(), idle: watch::channel(true).0 }));
        let of = queue.clone();
        let depth = move || i64::try_from(of.counts().depth).unwrap_or(i64::MAX);
        instruments.observe_gauge(names::APP_QUEUE_DEPTH, move |gauge| gauge.observe(depth(), &[]));
        instruments.observe_gauge(names::APP_QUEUE_CAPACITY, |gauge| {
            gauge.observe(i64::try_from(CAPACITY).unwrap_or(i64::MAX), &[]);
        });
        let of = queue.clone();
        instruments
            .observe_counter(names::APP_TASKS_REJECTED, move |counter| counter.observe(of.counts().rejected, &[]));
        queue
    }

    /// Lets a task in that takes this long, on behalf of a request; gives its number.
    ///
    /// # Errors
    /// When there is no room, or the service stops.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn submit(&self, work: Duration, request: SpanContext) -> Result<u64, Rejected> {
        let mut state = self.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        if state.waiting.len() >= CAPACITY {
            state.counts.rejected += 1;
            return Err(Rejected::Full { empty_in: state.work.div_f64(WORKERS as f64) });
        }
        state.counts.accepted += 1;
        let id = state.counts.accepted;
        let work = work.min(MAX_WORK);
        state.waiting.push_back(Job { id, work, request });
        state.work += work;
        self.0.idle.send_replace(false);
        if !std::mem::replace(&mut state.started, true) {
            for _ in 0..WORKERS {
                spawn_named("queue worker", self.clone().work());
            }
        }
        drop(state);
        self.0.came.notify_one();
        Ok(id)
    }

    /// What became of all tasks.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { depth: state.waiting.len(), running: state.running.len(), ..state.counts }
    }

    /// Takes back those of these tasks that have not begun.
    pub fn withdraw(&self, ids: &[u64]) {
        let mut state = self.lock();
        let State { waiting, work, counts, .. } = &mut *state;
        waiting.retain(|job| {
            let stays = !ids.contains(&job.id);
            if !stays {
                *work -= job.work;
                counts.withdrawn += 1;
            }
            stays
        });
        self.tell_idle(&state);
    }

    /// Lets no task in any more, and gives those that were let in this long. Returns how many are not done, which are
    /// named in the log.
    pub async fn close(&self, limit: Duration) -> usize {
        self.lock().closed = true;
        self.0.came.notify_waiters();
        let mut idle = self.0.idle.subscribe();
        // The sender is in this very queue, so only the limit can end this early.
        let _ = tokio::time::timeout(limit, idle.wait_for(|idle| *idle)).await;
        let left: Vec<_> = {
            let state = self.lock();
            state.running.iter().copied().chain(state.waiting.iter().map(|job| job.id)).collect()
        };
        if !left.is_empty() {
            let first = &left[..left.len().min(NAMED)];
            tracing::warn!(tasks = left.len(), ?first, ?limit, "queued tasks were accepted and are not done");
        }
        left.len()
    }

    async fn work(self) {
        loop {
            // Wakes for each task that comes from here on: one that has not been polled may miss all but one of them.
            let mut came = pin!(self.0.came.notified());
            came.as_mut().enable();
            let Some(job) = self.take() else {
                if self.lock().closed {
                    return;
                }
                came.await;
                continue;
            };
            let id = job.id;
            // Each task is a trace of its own: the request that sent it has been answered long before.
            run(job).instrument(tracing::info_span!(parent: None, "queued task", otel.kind = "consumer")).await;
            self.done(id);
        }
    }

    fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = state.waiting.pop_front()?;
        state.work -= job.work;
        state.running.push(job.id);
        Some(job)
    }

    fn done(&self, id: u64) {
        let mut state = self.lock();
        state.running.retain(|running| *running != id);
        state.counts.processed += 1;
        self.tell_idle(&state);
    }

    fn tell_idle(&self, state: &State) {
        if state.running.is_empty() && state.waiting.is_empty() {
            self.0.idle.send_replace(true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for the call of something slow.
async fn run(job: Job) {
    Context::map_current(|context| {
        let span = context.span();
        span.set_attribute(KeyValue::new(attribute::TASK_ID, job.id.cast_signed()));
        if job.request.is_valid() {
            span.add_link(job.request, Vec::new());
        }
    });
    tokio::time::sleep(job.work).await;
}

#[cfg(test)]
mod tests;
