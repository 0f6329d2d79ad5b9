//! Sends the requests of a plan.
//!
//! A thread of its own keeps the time, because the runtime's timer only knows milliseconds and its threads have requests
//! to serve. At each intended start it hands the request to the runtime, where it waits for a free slot if it must.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{timeout, timeout_at};

use super::Plan;
use super::tally::{Outcome, Tally};

/// Requests that may wait for a slot: each costs about a kilobyte, and who is that far behind learns nothing from more.
const MAX_WAITING: usize = 16_384;

/// What is known about a run while it runs.
#[derive(Debug)]
pub struct Run {
    plan: Plan,
    urls: Vec<Url>,
    client: reqwest::Client,
    slots: Semaphore,
    unanswered: AtomicUsize,
    stopped: AtomicBool,
    counts: Mutex<Counts>,
}

/// The counts of a run.
#[derive(Debug, Clone)]
pub struct Counts {
    /// All requests.
    pub all: Tally,
    /// The requests of each template of the mix.
    pub templates: Vec<Tally>,
    /// The longest time by which this program started a request late; it is part of the latencies.
    pub latest_start: Duration,
}

/// A run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A template's path does not fit the target.
    #[error("{0}")]
    Path(String),
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The thread that keeps the time could not be started.
    #[error("cannot start the thread that keeps the time")]
    Clock(#[source] std::io::Error),
}

impl Run {
    /// Prepares a run of `plan`.
    ///
    /// # Errors
    /// When a path leads to another host, or the client cannot be built.
    pub fn new(plan: Plan) -> Result<Self, RunError> {
        let urls = plan.mix.templates().map(|template| plan.target.join(&template.path));
        let urls = urls.collect::<Result<Vec<_>, _>>().map_err(RunError::Path)?;
        // Neither a proxy nor a redirect may take the load elsewhere.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(plan.max_in_flight)
            .build()
            .map_err(RunError::Client)?;
        let counts = Counts {
            all: Tally::default(),
            templates: vec![Tally::default(); urls.len()],
            latest_start: Duration::ZERO,
        };
        let slots = Semaphore::new(plan.max_in_flight);
        let (unanswered, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self { plan, urls, client, slots, unanswered, stopped, counts: Mutex::new(counts) })
    }

    /// Sends everything and waits for the last answer; returns the time until then.
    ///
    /// Once `stop` resolves no further request starts; those under way are still waited for.
    ///
    /// # Errors
    /// When the thread that keeps the time cannot be started.
    pub async fn send(self: &Arc<Self>, stop: impl Future<Output = ()>) -> Result<Duration, RunError> {
        let begin = Instant::now();
        // Every request holds a sender, so the channel ends with the last of them.
        let (open, mut last) = mpsc::channel::<()>(1);
        let (run, runtime) = (Arc::clone(self), Handle::current());
        let clock = std::thread::Builder::new()
            .name("load-clock".to_owned())
            .spawn(move || run.keep_time(begin, &runtime, &open))
            .map_err(RunError::Clock)?;
        tokio::pin!(stop);
        tokio::select! {
            _ = last.recv() => {}
            () = stop => {
                self.stopped.store(true, Ordering::Relaxed);
                clock.thread().unpark();
                let _ = last.recv().await;
            }
        }
        Ok(begin.elapsed())
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Requests begun and not ended.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// The plan of this run.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether it was stopped before its end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_time(self: Arc<Self>, begin: Instant, runtime: &Handle, open: &mpsc::Sender<()>) {
        for (start, template) in self.plan.profile.starts().zip(self.plan.mix.order()) {
            let intended = begin + start;
            // Parking may end early, and stopping ends it.
            while let Some(left) = intended.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                if self.stopped() {
                    return;
                }
                std::thread::park_timeout(left);
            }
            if self.stopped() {
                return;
            }
            if self.unanswered() >= MAX_WAITING + self.plan.max_in_flight {
                self.end(template, Outcome::ClientOverload, intended);
                continue;
            }
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            let (run, open) = (Arc::clone(&self), open.clone());
            runtime.spawn(async move {
                let outcome = run.request(template, intended).await;
                run.end(template, outcome, intended);
                run.unanswered.fetch_sub(1, Ordering::Relaxed);
                drop(open);
            });
        }
    }

    /// Waits for a slot, sends, and reads the answer to its end.
    async fn request(&self, template: usize, intended: Instant) -> Outcome {
        let late = intended.elapsed();
        {
            let mut counts = self.lock();
            counts.latest_start = counts.latest_start.max(late);
        }
        let patience = tokio::time::Instant::from_std(intended + self.plan.timeout);
        let Ok(slot) = timeout_at(patience, self.slots.acquire()).await else { return Outcome::ClientOverload };
        let answer = async {
            let mut response = self.client.get(self.urls[template].clone()).send().await?;
            let status = response.status();
            while response.chunk().await?.is_some() {}
            Ok(status.as_u16())
        };
        // Counted anew, so that a request that waited long is not blamed on the service for lack of the rest.
        let outcome = match timeout(self.plan.timeout, answer).await {
            Ok(Ok(status)) => Outcome::Status(status),
            Ok(Err(error)) => failure(&error),
            Err(_) => Outcome::Timeout,
        };
        drop(slot);
        outcome
    }

    fn end(&self, template: usize, outcome: Outcome, intended: Instant) {
        // From the intended start: the waiting for a slot is what a user of the service would have waited.
        let latency = intended.elapsed();
        let mut counts = self.lock();
        counts.all.add(outcome, latency);
        counts.templates[template].add(outcome, latency);
    }
}

fn failure(error: &reqwest::Error) -> Outcome {
    if error.is_connect() { Outcome::Connect } else { Outcome::Broken }
}
