//! Tasks by name, what each one is doing, and where it waits, on stable tokio.
//!
//! Tasks that were spawned by [`spawn_named`], and futures that were wrapped in [`Tracked`], are in a registry until they end.
//! [`dump`] lists them, and finds the stack of every await point: it wakes each task, and the task is polled once with
//! a waker of another kind, whose `clone` runs deep inside of the poll, where the innermost future registers it, and
//! captures the stack there. The task keeps a clone of its ordinary waker and goes on waiting.
//!
//! # Limits
//! - A dump polls each task once more. A future has to expect that, but one that counts its polls counts this one too.
//! - A future with an executor of its own, such as `FuturesUnordered` or a tracked future inside of another, shows the place
//!   where that is polled; what runs in it shows no stack of its own unless it is tracked itself.
//! - A task keeps at most 4 different stacks; more await points of a `join` or `select` are counted.
//! - A tracked future that its owner does not poll, such as one that waits in a variable, cannot answer, and a dump
//!   waits for it as long as it may.

mod entry;
mod registry;
mod report;
mod round;
mod text;
mod tracked;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::{execution, names};
pub use report::{Span, Stack, State, Task, TaskDump};
pub use tracked::Tracked;
pub(crate) use tracked::{entered, exited};

/// How long a dump waits for tasks that do not answer, unless told otherwise.
pub const DUMP_LIMIT: Duration = Duration::from_millis(200);

/// Spawns a task that dumps show under this name.
///
/// Names are kept for as long as the process lives, 4,096 of them together with those of spans; give a name to a kind of
/// tasks and not to each one.
///
/// # Panics
/// Outside of a tokio runtime, as [`tokio::spawn`] does.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Tracked::new(name, future))
}

/// Like [`spawn_named`], on a runtime that may be another one.
#[track_caller]
pub fn spawn_named_on<F>(name: impl Into<Cow<'static, str>>, future: F, runtime: &Handle) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.spawn(Tracked::new(name, future))
}

/// Lists the tasks, with their stacks.
///
/// Returns after `limit` at the latest, when a task does not answer because its thread is busy or blocked; such tasks are
/// listed without a stack, and [`TaskDump::blockers`] names those that have been running for longer than the limit. Works on any
/// runtime, also the dumped one. The waiting is done by a thread of the dump's own, so neither timers nor the
/// workers of this runtime are needed. Dumps at the same time do not disturb each other.
///
/// # Cancel safety
/// Dropping the future leaves only that thread behind, which ends at its limit.
pub async fn dump(limit: Duration) -> TaskDump {
    let (send, receive) = tokio::sync::oneshot::channel();
    let collect = move || drop(send.send(round::collect(limit, limit)));
    match std::thread::Builder::new().name("task-dump".to_owned()).spawn(collect) {
        Ok(_) => match receive.await {
            Ok(dump) => dump,
            // The thread did not live to send: what is known without waiting.
            Err(_) => round::collect(limit, Duration::ZERO),
        },
        // No thread is to be had. Waiting here could wait for tasks of this very thread.
        Err(_) => round::collect(limit, Duration::ZERO),
    }
}

/// Like [`dump`], for threads that may wait. On a thread that polls tasks it waits in vain for those.
#[must_use]
pub fn dump_blocking(limit: Duration) -> TaskDump {
    round::collect(limit, limit)
}

/// How many tasks of each name have not ended, by name. Copies the list of tasks and asks none of them.
#[must_use]
pub fn count_by_name() -> BTreeMap<Arc<str>, u64> {
    let mut counts = BTreeMap::new();
    for entry in registry::REGISTRY.entries() {
        *counts.entry(names::text(entry.name)).or_default() += 1;
    }
    counts
}

/// Polls that run now, for execution traces.
pub(crate) fn running() -> Vec<execution::OpenPoll> {
    let entries = registry::REGISTRY.entries();
    entries.iter().filter_map(|entry| entry.open_poll()).collect()
}

fn name_id(name: Cow<'static, str>) -> names::NameId {
    match name {
        Cow::Borrowed(name) => names::intern_static(name),
        Cow::Owned(name) => names::intern(&name),
    }
}

#[cfg(test)]
pub(crate) mod tests;
