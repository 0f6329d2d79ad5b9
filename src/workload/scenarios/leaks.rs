//! Leaks: something is taken again and again and never given back, until the scenario ends.
//!
//! Each leak has a limit that a healthy machine bears, and moves exactly one kind of metric.

use std::fs::File;
use std::net::Ipv4Addr;
use std::time::Duration;

use span_profiler::tasks::Tracked;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::pace::{self, Pace};
use super::{Parameter, Run, Running, Scenario};
use crate::telemetry::process::descriptors_left;

const DURATION: Parameter = Parameter::DURATION.by_default(300_000);

/// A task is about 400 bytes here, so all of them take 8 MB.
const TASKS: [Parameter; 3] =
    [pace::rate("tasks per second", 50, 1_000), pace::limit("tasks", 2_000, 20_000), DURATION];

pub(super) const TASK_LEAK: Scenario = Scenario {
    name: "task-leak",
    summary: "spawns tasks that wait for something that never comes",
    parameters: &TASKS,
    run: tasks,
};

fn tasks(Run { values, cancel, .. }: Run) -> Running {
    Box::pin(async move {
        let mut leaked = JoinSet::new();
        let mut pace = Pace::new(cancel, values.get(&TASKS[0]), values.get(&TASKS[1]));
        while pace.next().await {
            leaked.spawn(Tracked::new("leaked task", std::future::pending::<()>()));
        }
        pace.hold().await;
        leaked.shutdown().await;
    })
}

/// At the most, the container's limit leaves room for the rest of the service and for a profile of it.
const MEMORY: [Parameter; 3] = [pace::rate("MiB per second", 1, 64), pace::limit("MiB", 64, 192), DURATION];

pub(super) const MEMORY_LEAK: Scenario = Scenario {
    name: "memory-leak",
    summary: "keeps memory that nobody needs any more",
    parameters: &MEMORY,
    run: memory,
};

/// Pieces of this size, so that memory grows smoothly and the sampled profile still shows its size.
const PIECE: usize = 64 << 10;

/// Pieces in a MiB.
const PIECES: u64 = 16;

fn memory(Run { values, cancel, .. }: Run) -> Running {
    Box::pin(async move {
        let mut kept = Vec::new();
        let mut pace = Pace::new(cancel, PIECES * values.get(&MEMORY[0]), PIECES * values.get(&MEMORY[1]));
        while pace.next().await {
            leak_memory(&mut kept);
        }
        pace.hold().await;
        drop(kept);
        // What was freed shall leave the process now and not with the next allocation. Without jemalloc there is nothing
        // to tell.
        let _ = tokio::task::spawn_blocking(span_profiler::heap::purge).await;
    })
}

// With a frame of its own, so that a profile names it.
#[inline(never)]
fn leak_memory(kept: &mut Vec<Vec<u8>>) {
    // Not zeros: those cost no memory until they are written.
    kept.push(vec![1; PIECE]);
}

const FILES: [Parameter; 3] = [pace::rate("files per second", 10, 1_000), pace::limit("files", 500, 10_000), DURATION];

pub(super) const FILE_LEAK: Scenario =
    Scenario { name: "file-leak", summary: "opens files and never closes them", parameters: &FILES, run: files };

/// A file that every process can read: its own program.
const FILE: &str = "/proc/self/exe";

/// Half of the descriptors that were free when a leak began: they stay with the service, also while another leak runs.
struct Reserve {
    /// None where there is no limit.
    descriptors: Option<u64>,
    pieces: u64,
}

impl Reserve {
    /// Pieces between two looks, each of which lists all descriptors; fewer than any reserve that matters.
    const STRIDE: u64 = 16;

    fn new() -> Self {
        Self { descriptors: descriptors_left().map(|left| left / 2), pieces: 0 }
    }

    /// Whether the next piece would take of it.
    fn is_reached(&mut self) -> bool {
        let look = self.pieces.is_multiple_of(Self::STRIDE);
        self.pieces += 1;
        let left = || descriptors_left().unwrap_or(u64::MAX);
        self.descriptors.is_some_and(|reserve| look && left() <= reserve + Self::STRIDE)
    }
}

fn files(Run { values, cancel, .. }: Run) -> Running {
    Box::pin(async move {
        let mut leaked = Vec::new();
        let mut pace = Pace::new(cancel, values.get(&FILES[0]), values.get(&FILES[1]));
        let mut reserve = Reserve::new();
        while pace.next().await && !reserve.is_reached() {
            match File::open(FILE) {
                Ok(file) => leaked.push(file),
                Err(error) => {
                    tracing::warn!(%error, "a file that was to leak cannot be opened: no more will");
                    break;
                }
            }
        }
        pace.hold().await;
    })
}

/// All of them fit into the backlog of a listener.
const CONNECTIONS: [Parameter; 3] =
    [pace::rate("connections per second", 10, 200), pace::limit("connections", 200, 1_000), DURATION];

pub(super) const CONNECTION_LEAK: Scenario = Scenario {
    name: "connection-leak",
    summary: "opens TCP connections and never closes them",
    parameters: &CONNECTIONS,
    run: connections,
};

/// Above the most connections that can be asked for; the kernel may keep to less.
const BACKLOG: u32 = 1_024;

/// A connection to this machine that takes longer than this has found the backlog full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

fn connections(Run { values, cancel, .. }: Run) -> Running {
    Box::pin(async move {
        // Nobody accepts: the kernel completes the connection all the same, and only our end takes a descriptor.
        let listener = TcpSocket::new_v4().and_then(|socket| {
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            socket.listen(BACKLOG)
        });
        let listener = match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok(listener) => listener,
            Err(error) => return tracing::warn!(%error, "there is nothing that connections could be leaked to"),
        };
        let mut leaked = Vec::new();
        let mut pace = Pace::new(cancel, values.get(&CONNECTIONS[0]), values.get(&CONNECTIONS[1]));
        let mut reserve = Reserve::new();
        while pace.next().await && !reserve.is_reached() {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(listener.0)).await {
                Ok(Ok(connection)) => leaked.push(connection),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a connection that was to leak cannot be opened: no more will");
                    break;
                }
                Err(_) => {
                    tracing::warn!("a connection that was to leak found no room in the kernel's backlog: no more will");
                    break;
                }
            }
        }
        pace.hold().await;
    })
}
