//! Starts and stops scenarios, and knows which of them run.
//!
//! The start and the stop of a scenario are a short trace each, the stop linked to the start: a span from one to the
//! other would be open for longer than a collector waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use span_profiler::tasks::{spawn_named, spawn_named_on};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cancel::Canceller;
use super::{ALL, Cancel, Lab, Parameter, Run, Scenario, Values};
use crate::names::{self, attribute};
use crate::telemetry::Instruments;

/// How long a scenario may take to undo what it did, before its tasks are dropped, which undoes the rest.
const UNDO_LIMIT: Duration = Duration::from_secs(10);

/// The scenarios of one service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Scenarios(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lab: Lab,
    /// The service's runtime: a scenario is to disturb that one, and not the one that asks for it.
    runtime: Handle,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// In the order of [`ALL`].
    slots: Vec<Slot>,
    /// The service stops, so nothing starts any more.
    closed: bool,
}

#[derive(Debug, Default)]
struct Slot {
    active: Option<Active>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Active {
    values: Values,
    since: SystemTime,
    stopping: bool,
    cancel: Canceller,
    /// Its sender is dropped when the scenario has ended.
    ended: watch::Receiver<()>,
}

/// What a scenario is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Stopped,
    /// What it is there for.
    Running,
    /// Undoing it.
    Stopping,
}

/// How the last run of a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its time was over.
    Finished,
    /// It was told to stop.
    Stopped,
    /// A bug: it panicked, or did not stop in time. Its tasks were dropped.
    Failed,
}

/// The last run of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// How it ended.
    pub outcome: Outcome,
    /// When it had ended and was undone.
    pub ended: SystemTime,
}

/// A scenario and what it is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// What it is doing.
    pub state: State,
    /// What was chosen for this run; empty while none runs.
    pub values: Values,
    /// When this run began, if one runs.
    pub since: Option<SystemTime>,
    /// The run before.
    pub last: Option<Last>,
}

/// Why a scenario did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One at a time of each.
    #[error("it is running")]
    Running,
    /// The service stops.
    #[error("the service is stopping")]
    Closed,
}

/// The scenario of this name, as an index into [`ALL`].
fn find(name: &str) -> Option<usize> {
    ALL.iter().position(|scenario| scenario.name == name)
}

impl Scenarios {
    /// Scenarios that run on this runtime, and none of them does yet.
    #[must_use]
    pub fn new(lab: Lab, instruments: &Instruments, runtime: Handle) -> Self {
        let slots = Slots { slots: ALL.iter().map(|_| Slot::default()).collect(), closed: false };
        let all = Self(Arc::new(Inner { lab, runtime, slots: Mutex::new(slots) }));
        let asked = all.clone();
        let attributes: Vec<_> = ALL.iter().map(|one| [KeyValue::new(attribute::SCENARIO, one.name)]).collect();
        instruments.observe_gauge(names::SCENARIO_ACTIVE, move |gauge| {
            for (slot, attributes) in asked.lock().slots.iter().zip(&attributes) {
                gauge.observe(i64::from(slot.active.is_some()), attributes);
            }
        });
        all
    }

    /// All of them.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        let slots = self.lock();
        ALL.iter().zip(&slots.slots).map(|(scenario, slot)| status(scenario, slot)).collect()
    }

    /// The one of this name.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<Status> {
        let index = find(name)?;
        Some(status(&ALL[index], &self.lock().slots[index]))
    }

    /// Starts a scenario; `values` are within their bounds.
    ///
    /// # Errors
    /// When it runs already, or the service stops.
    ///
    /// # Panics
    /// With a scenario that is none of [`ALL`].
    pub fn start(&self, scenario: &'static Scenario, values: Values) -> Result<Status, Refused> {
        let index = find(scenario.name).expect("every scenario is one of all");
        let mut slots = self.lock();
        if slots.closed {
            return Err(Refused::Closed);
        }
        let slot = &mut slots.slots[index];
        if slot.active.is_some() {
            return Err(Refused::Running);
        }
        let started = trace_start(scenario, &values);
        let (canceller, cancel) = Cancel::pair();
        let (ending, ended) = watch::channel(());
        slot.active = Some(Active {
            values: values.clone(),
            since: SystemTime::now(),
            stopping: false,
            cancel: canceller,
            ended,
        });
        let limit = values.duration(duration_of(scenario));
        let all = self.clone();
        let run = Run { lab: self.0.lab.clone(), values, cancel: cancel.clone() };
        let supervise = async move {
            let running = spawn_named(scenario.name, (scenario.run)(run));
            let outcome = all.supervise(index, running, cancel, limit).await;
            trace_stop(scenario, outcome, &started);
            let slot = &mut all.lock().slots[index];
            slot.active = None;
            slot.last = Some(Last { outcome, ended: SystemTime::now() });
            // After the slot is free, so that who waited for the end can start it again.
            drop(ending);
        };
        spawn_named_on("scenario", supervise, &self.0.runtime);
        Ok(status(scenario, slot))
    }

    /// Waits until a scenario has ended, and sees to it that it does in time.
    async fn supervise(
        &self,
        index: usize,
        mut running: JoinHandle<()>,
        mut cancel: Cancel,
        limit: Duration,
    ) -> Outcome {
        let by_itself = tokio::select! {
            biased;
            ended = &mut running => Some(ended),
            () = cancel.cancelled() => None,
            () = tokio::time::sleep(limit) => None,
        };
        // Also where it has ended before this task came to see that it was told to.
        let stopped = cancel.is_cancelled();
        let ended = match by_itself {
            Some(ended) => Ok(ended),
            None => {
                self.cancel(index);
                tokio::time::timeout(UNDO_LIMIT, &mut running).await
            }
        };
        match ended {
            Ok(Ok(())) if stopped => Outcome::Stopped,
            Ok(Ok(())) => Outcome::Finished,
            Ok(Err(_panicked)) => Outcome::Failed,
            Err(_elapsed) => {
                running.abort();
                // Until its guards have been dropped.
                let _ = running.await;
                Outcome::Failed
            }
        }
    }

    /// Tells a scenario to stop, and waits until it has and everything is undone; nothing happens to one that does not
    /// run. `None` when there is no such scenario.
    ///
    /// # Cancel safety
    /// It stops all the same.
    pub async fn stop(&self, name: &str) -> Option<Status> {
        let index = find(name)?;
        if let Some(mut ended) = self.cancel(index) {
            // Nothing is ever sent: this ends with the sender.
            let _ = ended.changed().await;
        }
        self.status(name)
    }

    /// Tells all to stop and lets none start any more.
    pub fn close(&self) {
        self.lock().closed = true;
        (0..ALL.len()).for_each(|index| drop(self.cancel(index)));
    }

    /// Waits until none runs, after [`close`](Self::close).
    pub async fn closed(&self) {
        for index in 0..ALL.len() {
            if let Some(mut ended) = self.cancel(index) {
                let _ = ended.changed().await;
            }
        }
    }

    /// Tells one to stop, if it runs; the receiver fails when it has.
    fn cancel(&self, index: usize) -> Option<watch::Receiver<()>> {
        let active = &mut self.lock().slots[index].active;
        active.as_mut().map(|active| {
            active.stopping = true;
            active.cancel.cancel();
            active.ended.clone()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(scenario: &'static Scenario, slot: &Slot) -> Status {
    let active = slot.active.as_ref();
    let state = match active {
        None => State::Stopped,
        Some(active) if active.stopping => State::Stopping,
        Some(_) => State::Running,
    };
    Status {
        scenario,
        state,
        values: active.map(|active| active.values.clone()).unwrap_or_default(),
        since: active.map(|active| active.since),
        last: slot.last,
    }
}

/// Every scenario has this parameter, which a test in [`super`] sees to.
fn duration_of(scenario: &'static Scenario) -> &'static Parameter {
    let own = scenario.parameters.iter().find(|one| one.name == Parameter::DURATION.name);
    own.unwrap_or(&Parameter::DURATION)
}

/// The values in the form in which they are asked for.
fn written(scenario: &Scenario, values: &Values) -> String {
    let pair = |one: &Parameter| format!("{}={}", one.name, one.write(values.get(one)));
    scenario.parameters.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn trace_start(scenario: &Scenario, values: &Values) -> SpanContext {
    let parameters = written(scenario, values);
    // Never part of the request or the task that happens to start it.
    tracing::info_span!(parent: None, "scenario start").in_scope(|| {
        tracing::info!(scenario = scenario.name, parameters, "a scenario starts");
        Context::map_current(|context| {
            context.span().set_attribute(KeyValue::new(attribute::SCENARIO, scenario.name));
            context.span().set_attribute(KeyValue::new(attribute::SCENARIO_PARAMETERS, parameters));
            context.span().span_context().clone()
        })
    })
}

fn trace_stop(scenario: &Scenario, outcome: Outcome, started: &SpanContext) {
    tracing::info_span!(parent: None, "scenario stop").in_scope(|| {
        tracing::info!(scenario = scenario.name, outcome = outcome.name(), "a scenario has stopped");
        Context::map_current(|context| {
            let span = context.span();
            span.set_attribute(KeyValue::new(attribute::SCENARIO, scenario.name));
            span.set_attribute(KeyValue::new(attribute::RESULT, outcome.name()));
            if started.is_valid() {
                span.add_link(started.clone(), Vec::new());
            }
        });
    });
}

impl Outcome {
    /// The name in answers, logs and spans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl State {
    /// The name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

#[cfg(test)]
mod tests;
