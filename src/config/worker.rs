//! What a worker process is and does (`PHASELAB_WORKER_*`), and what differs from the service for want of a setting.

use std::time::Duration;

use clap::ValueEnum;

use super::duration;
use super::source::Reader;
use crate::names;

/// Whether a worker makes the mistakes that its metrics and profiles then show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkerKind {
    /// Leaks tasks and memory, allocates in loops, holds a lock too long and blocks the threads of the runtime.
    Bad,
    /// Does the same work right.
    Optimized,
}

impl WorkerKind {
    /// The value of `worker_type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Optimized => "optimized",
        }
    }

    /// Where such a worker listens unless it is told otherwise.
    #[must_use]
    pub const fn listen(self) -> &'static str {
        LISTEN[self as usize]
    }
}

/// What the process is; it decides about defaults alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The service.
    Service,
    /// A worker beside it.
    Worker(WorkerKind),
}

/// The APIs of the two kinds.
const LISTEN: [&str; 2] = ["127.0.0.1:8081", "127.0.0.1:8082"];

/// Variables whose default is another one in a worker; the name stands apart because it has two sources.
const OF_WORKERS: [(&str, [&str; 2]); 4] = [
    ("PHASELAB_LISTEN", LISTEN),
    ("PHASELAB_DIAGNOSTICS_LISTEN", ["127.0.0.1:6061", "127.0.0.1:6062"]),
    // The service asks its workers, and not the other way round.
    ("PHASELAB_DIAGNOSTICS_PEERS", ["none", "none"]),
    // It opens none.
    ("PHASELAB_DATABASE", [":memory:", ":memory:"]),
];

impl Role {
    /// The text that stands for an unset variable, where the role has one of its own.
    pub(super) fn default_of(self, variable: &str) -> Option<&'static str> {
        let Self::Worker(kind) = self else { return None };
        OF_WORKERS.iter().find(|(name, _)| *name == variable).map(|(_, values)| values[kind as usize])
    }

    /// The default `service.name`.
    pub(super) fn service_name(self) -> &'static str {
        match self {
            Self::Service => names::SERVICE_NAME,
            Self::Worker(_) => names::WORKER_SERVICE_NAME,
        }
    }
}

/// How much a worker has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks that are worked on at once.
    pub workers: usize,
    /// The time over which the tasks come, evenly.
    pub duration: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>) -> WorkerSettings {
    let tasks = reader.strict(
        "PHASELAB_WORKER_TASKS",
        100_000,
        ("is no whole number from 1 to 1000000000", "write for example 100000"),
        |text| text.parse().ok().filter(|n| (1..=1_000_000_000).contains(n)),
    );
    let workers = reader.strict(
        "PHASELAB_WORKER_WORKERS",
        50,
        ("is no whole number from 1 to 1024", "write for example 50"),
        |text| text.parse().ok().filter(|n| (1..=1_024).contains(n)),
    );
    let duration = reader.strict(
        "PHASELAB_WORKER_DURATION",
        Duration::from_secs(48 * 3_600),
        ("is no duration with a unit (h, m, s) from 1s to 720h", "write for example 48h or 1m"),
        |text| {
            let duration = duration::parse(text)?;
            (Duration::from_secs(1)..=Duration::from_secs(720 * 3_600)).contains(&duration).then_some(duration)
        },
    );
    WorkerSettings { tasks, workers, duration }
}
