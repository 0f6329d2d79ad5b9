//! Execution traces: which thread polled which task when, what woke it, and the spans in between, for `ui.perfetto.dev`.
//!
//! Polls, wakes and spawns come from tasks in the registry (feature `tasks`), spans from [`SpanLabels`](crate::SpanLabels). When
//! nothing is recorded, each of these places costs one load. While something is, every thread writes into a buffer of its own.
//!
//! Times are read from `CLOCK_MONOTONIC` and written as `CLOCK_BOOTTIME`, in nanoseconds, which is what Perfetto's other
//! recorders use; the trace says how that relates to the time of day.

mod balance;
mod messages;
mod perfetto;
mod session;
mod trace;

use std::sync::Arc;

use thiserror::Error;

use crate::names::NameId;
use crate::sys::monotonic_ns;
use session::{Event, Kind, Session, record};
pub use trace::ExecutionTrace;
pub(crate) use trace::OpenPoll;

/// A recording is under way, and there can be only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an execution trace is being recorded, and only one can be at a time: finish it or try again when it is done")]
pub struct Busy;

/// A recording that is under way. Dropping it throws it away.
#[derive(Debug)]
pub struct Recording {
    session: Option<Arc<Session>>,
}

impl Recording {
    /// Starts to record, all threads at once.
    ///
    /// At most 1,048,576 events are kept, 32 MiB of them: some seconds of a busy service. Further ones are counted.
    ///
    /// # Errors
    /// When another recording is under way.
    pub fn start() -> Result<Self, Busy> {
        Session::start(session::CAPACITY).map(|session| Self { session: Some(session) }).ok_or(Busy)
    }

    #[cfg(test)]
    pub(crate) fn with_capacity(events: usize) -> Result<Self, Busy> {
        Session::start(events).map(|session| Self { session: Some(session) }).ok_or(Busy)
    }

    /// Stops, and gives what was recorded.
    #[must_use]
    pub fn finish(mut self) -> ExecutionTrace {
        let session = self.session.take();
        let open = open_polls();
        session.map(|session| ExecutionTrace::new(session.stop(), open)).unwrap_or_default()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.stop();
        }
    }
}

/// Whether something is recorded. Costs one load.
#[inline]
pub(crate) fn active() -> bool {
    session::number() != 0
}

/// The thread entered a span. `id` is the number that it has for `tracing`, by which its exit is found, for its name may change;
/// `span_id` is its OpenTelemetry id, or zero.
#[cold]
pub(crate) fn enter(name: NameId, id: u64, span_id: u64) {
    record(Event { at: monotonic_ns(), kind: Kind::Enter, name, id, other: span_id });
}

/// The thread left a span. Name and OpenTelemetry id are those of a slice that was open before the recording.
#[cold]
pub(crate) fn exit(name: NameId, id: u64, span_id: u64) {
    record(Event { at: monotonic_ns(), kind: Kind::Exit, name, id, other: span_id });
}

/// A poll began at that time, caused by the wake with this number.
#[cfg(feature = "tasks")]
#[cold]
pub(crate) fn poll_began(at: u64, name: NameId, task: u64, cause: u64) {
    record(Event { at, kind: Kind::PollBegin, name, id: task, other: cause });
}

/// The poll ended at that time.
#[cfg(feature = "tasks")]
#[cold]
pub(crate) fn poll_ended(at: u64, name: NameId, task: u64) {
    record(Event { at, kind: Kind::PollEnd, name, id: task, other: 0 });
}

/// The task is woken by this thread. `flow` is the number of the wake if it is what causes the next poll, otherwise zero.
#[cfg(feature = "tasks")]
pub(crate) fn woke(name: NameId, task: u64, flow: u64) {
    record(Event { at: monotonic_ns(), kind: Kind::Wake, name, id: task, other: flow });
}

/// The task was made by this thread, which causes its first poll.
#[cfg(feature = "tasks")]
pub(crate) fn spawned(name: NameId, task: u64, flow: u64) {
    record(Event { at: monotonic_ns(), kind: Kind::Spawn, name, id: task, other: flow });
}

/// Polls that run now.
#[cfg(feature = "tasks")]
fn open_polls() -> Vec<OpenPoll> {
    crate::tasks::running()
}

#[cfg(not(feature = "tasks"))]
fn open_polls() -> Vec<OpenPoll> {
    Vec::new()
}

#[cfg(test)]
mod tests;
