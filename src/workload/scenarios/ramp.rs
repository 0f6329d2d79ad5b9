//! The ramp: workers are added at a steady rate up to a number, and taken away again down to none.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use span_profiler::tasks::spawn_named;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Cancel, Parameter, Run, Running, Scenario, Unit};
use crate::names::{self, attribute};
use crate::telemetry::Instruments;

/// How often the number of workers is adjusted.
pub const TICK: Duration = Duration::from_millis(100);

/// How often a worker wakes up.
const WORK: Duration = Duration::from_millis(50);

/// How many workers. Each is a task of about a kilobyte that wakes up 20 times a second, so the most of them keep a
/// core busy.
pub const WORKERS: Parameter = Parameter {
    name: "workers",
    about: "workers at the peak, which is reached after half of the time",
    unit: Unit::Of("workers"),
    default: 100,
    min: 1,
    max: 10_000,
};

/// The way up and the way down together.
pub const DURATION: Parameter =
    Parameter { about: "time from the first worker to the last, up and down", ..Parameter::DURATION };

pub(super) const SCENARIO: Scenario = Scenario {
    name: "ramp",
    summary: "adds workers at a steady rate and takes them away again",
    parameters: &[WORKERS, DURATION],
    run: start,
};

/// How far and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Workers at the peak.
    pub workers: u64,
    /// The time up and down.
    pub duration: Duration,
}

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Workers are added.
    Increasing,
    /// Workers are taken away.
    Decreasing,
}

impl Phase {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Increasing, Self::Decreasing];

    /// The value of the attribute `phase`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Decreasing => "decreasing",
        }
    }
}

impl Plan {
    /// How many workers there should be after this time.
    #[must_use]
    pub fn target(&self, elapsed: Duration) -> u64 {
        let whole = self.duration.as_nanos().max(1);
        let elapsed = elapsed.as_nanos().min(whole);
        // Up in the first half, and the same way down in the second.
        let climbed = 2 * elapsed.min(whole - elapsed);
        u64::try_from(u128::from(self.workers) * climbed / whole).unwrap_or(self.workers)
    }

    /// Which way it goes after this time.
    #[must_use]
    pub fn phase(&self, elapsed: Duration) -> Phase {
        if elapsed * 2 < self.duration { Phase::Increasing } else { Phase::Decreasing }
    }
}

/// What the ramp counts.
#[derive(Debug, Default)]
pub struct Meter {
    current: AtomicI64,
    created: AtomicU64,
    target: AtomicU64,
    rate: AtomicI64,
    /// The index of the phase in [`Phase::ALL`] and 1, or 0 while no ramp runs.
    phase: AtomicUsize,
}

impl Meter {
    /// Counts, for these instruments.
    #[must_use]
    pub fn new(instruments: &Instruments) -> Arc<Self> {
        let meter = Arc::new(Self::default());
        let of = Arc::clone(&meter);
        instruments.observe_gauge(names::APP_TASKS_CURRENT, move |gauge| gauge.observe(of.current(), &[]));
        let of = Arc::clone(&meter);
        instruments.observe_counter(names::APP_TASKS_CREATED, move |counter| counter.observe(of.created(), &[]));
        let of = Arc::clone(&meter);
        let phases = Phase::ALL.map(|phase| (phase, [KeyValue::new(attribute::PHASE, phase.name())]));
        instruments.observe_gauge(names::APP_PHASE, move |gauge| {
            for (phase, attributes) in &phases {
                gauge.observe(i64::from(of.phase() == Some(*phase)), attributes);
            }
        });
        let of = Arc::clone(&meter);
        let rate = move |meter: &Self| meter.rate.load(Ordering::Relaxed);
        instruments.observe_gauge(names::APP_SCALING_RATE, move |gauge| gauge.observe(rate(&of), &[]));
        meter
    }

    /// Workers that are alive.
    #[must_use]
    pub fn current(&self) -> i64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Workers that were ever started.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.created.load(Ordering::Relaxed)
    }

    /// Workers that there should be.
    #[must_use]
    pub fn target(&self) -> u64 {
        self.target.load(Ordering::Relaxed)
    }

    /// Which way it goes; `None` while no ramp runs.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        Phase::ALL.get(self.phase.load(Ordering::Relaxed).wrapping_sub(1)).copied()
    }

    fn set(&self, target: u64, phase: Option<Phase>) {
        let before = self.target.swap(target, Ordering::Relaxed);
        // Both are at most some thousands.
        self.rate.store(target.cast_signed() - before.cast_signed(), Ordering::Relaxed);
        self.phase.store(phase.map_or(0, |phase| phase as usize + 1), Ordering::Relaxed);
    }

    /// Counts a worker in until the guard is dropped.
    fn enter(self: &Arc<Self>) -> Alive {
        self.current.fetch_add(1, Ordering::Relaxed);
        self.created.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(self))
    }
}

/// A worker that is alive.
#[derive(Debug)]
struct Alive(Arc<Meter>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::Relaxed);
    }
}

fn start(Run { lab, values, cancel }: Run) -> Running {
    let plan = Plan { workers: values.get(&WORKERS), duration: values.duration(&DURATION) };
    Box::pin(async move { run(plan, &lab.ramp, cancel).await })
}

/// Goes up and down once. All workers have ended when this returns.
///
/// # Cancel safety
/// When the future is dropped, the workers end by themselves.
pub async fn run(plan: Plan, meter: &Arc<Meter>, mut cancel: Cancel) {
    let mut workers = Workers { meter: Arc::clone(meter), alive: Vec::new() };
    let mut turned = false;
    let started = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let elapsed = started.elapsed();
        let phase = plan.phase(elapsed);
        // The tick that turns reaches the peak, however much later than the half of the time it comes.
        let turns = phase == Phase::Decreasing && !std::mem::replace(&mut turned, true);
        let target = if turns { plan.workers } else { plan.target(elapsed) };
        meter.set(target, Some(phase));
        workers.scale(target).await;
        if elapsed >= plan.duration {
            break;
        }
    }
    workers.scale(0).await;
}

/// The workers that are alive, the youngest last.
struct Workers {
    meter: Arc<Meter>,
    alive: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts or ends as many as it takes. Those that are ended have ended when this returns.
    async fn scale(&mut self, target: u64) {
        let target = usize::try_from(target).unwrap_or(usize::MAX);
        while self.alive.len() < target {
            let (stop, stopped) = oneshot::channel();
            self.alive.push((stop, spawn_named("ramp worker", worker(stopped, self.meter.enter()))));
        }
        let ending: Vec<_> = self.alive.drain(target.min(self.alive.len())..).collect();
        // All are told before the first is waited for.
        let ending: Vec<_> = ending.into_iter().map(|(_told_by_dropping, worker)| worker).collect();
        for worker in ending {
            // It neither panics nor is it aborted.
            let _ = worker.await;
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.meter.set(0, None);
        self.meter.rate.store(0, Ordering::Relaxed);
    }
}

/// Wakes up again and again, until the other side of the channel is dropped.
async fn worker(mut stopped: oneshot::Receiver<()>, _alive: Alive) {
    let mut work = interval(WORK);
    work.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            _ = work.tick() => {}
        }
    }
}

#[cfg(test)]
mod tests;
