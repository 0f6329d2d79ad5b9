//! The work of a request, in phases: real queries, a checksum loop, an encoded payload.
//!
//! [`track`] makes a phase observable, [`db`], [`cpu`] and [`json`] are the phases; [`queue`] does what need not be done at
//! once, and [`scenarios`] disturb all of it. [`websocket`] is the game, whose work comes in messages; [`workers`] is work that
//! no request asks for.

pub mod cpu;
pub mod db;
pub mod json;
pub mod queue;
pub mod scenarios;
pub mod track;
pub mod websocket;
pub mod workers;

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tracing::Span;

use crate::config::Config;
use crate::names::Section;
use crate::telemetry::Instruments;
use cpu::Stop;
use db::Database;
use queue::Queue;
use track::Track;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Latency added inside the database phase.
    pub db_latency: Duration,
    /// Iterations of the checksum loop.
    pub loop_iterations: u64,
    /// Rows that are read and encoded.
    pub items: u32,
    /// The phase that fails on purpose.
    pub fail: Option<Section>,
}

/// What a request gets.
#[derive(Debug)]
pub struct Done {
    /// Rows that were read and encoded.
    pub items: usize,
    /// Iterations that were run.
    pub loop_iterations: u64,
    /// Equal for equal numbers of iterations.
    pub loop_checksum: u64,
    /// The encoded rows.
    pub payload: Box<RawValue>,
    /// The durations of the phases in seconds, in the order of [`Section::ALL`].
    pub seconds: [f64; Section::ALL.len()],
}

/// Why a phase failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was asked to.
    #[error("the phase {} failed because the request asked for it", .0.name())]
    Injected(Section),
    /// The database cannot be opened or reached.
    #[error("the database is unavailable")]
    DatabaseUnavailable(#[source] db::OpenError),
    /// A query failed.
    #[error("a query failed")]
    Query(#[source] sqlx::Error),
    /// The payload could not be encoded.
    #[error("the payload could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// The request ended before its work did.
    #[error("the work was cancelled")]
    Cancelled,
    /// A bug: the phase panicked.
    #[error("the phase panicked")]
    Panicked,
}

impl Failure {
    /// The value of `error.type`, out of a closed set.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Injected(_) => "injected_failure",
            Self::DatabaseUnavailable(_) => "database_unavailable",
            Self::Query(_) => "database_error",
            Self::Encode(_) => "encoding_error",
            Self::Cancelled => CANCELLED,
            Self::Panicked => "panic",
        }
    }
}

/// The `error.type` of what ended before it was done.
pub(crate) const CANCELLED: &str = "cancelled";

/// Does the work of requests; cheap to clone.
#[derive(Debug, Clone)]
pub struct Workload {
    database: Database,
    queue: Queue,
    instruments: Arc<Instruments>,
}

impl Workload {
    /// The workload over the configured database, which is opened with its first use.
    #[must_use]
    pub fn new(config: &Config, instruments: &Arc<Instruments>) -> Self {
        Self {
            database: Database::new(&config.database, instruments),
            queue: Queue::new(instruments),
            instruments: Arc::clone(instruments),
        }
    }

    /// The queue, for tasks that need not be done at once.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The database, for the readiness check.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs the phases one after the other inside the current span, which stays open until the last of them has ended,
    /// also when this future is dropped.
    ///
    /// # Errors
    /// The first phase that fails.
    pub async fn run(&self, order: Order) -> Result<Done, Failure> {
        let Order { db_latency, loop_iterations, items, fail } = order;
        let asked = move |section| if fail == Some(section) { Err(Failure::Injected(section)) } else { Ok(()) };
        let mut track = Track::new(Arc::clone(&self.instruments));
        let rows = track
            .future(Section::DbQuery, async {
                let rows = self.database.products(items, db_latency).await?;
                asked(Section::DbQuery).map(|()| rows)
            })
            .await?;

        let (stop, stopper) = Stop::pair();
        let iterations_counter = self.instruments.loop_iterations.clone();
        let root = Span::current();
        // Both phases compute, so both leave the async workers, with one hop.
        let work = move || {
            // Entering the request's span makes it the parent, and sets its end behind that of the phases.
            root.in_scope(|| {
                let loop_checksum = track.run(Section::CpuLoop, || {
                    let checksum = cpu::checksum(loop_iterations, &stop);
                    iterations_counter.add(checksum.err().unwrap_or(loop_iterations));
                    let checksum = checksum.map_err(|_done| Failure::Cancelled)?;
                    asked(Section::CpuLoop).map(|()| checksum)
                })?;
                let payload = track.run(Section::JsonEncode, || {
                    let payload = json::encode(&rows).map_err(Failure::Encode)?;
                    asked(Section::JsonEncode).map(|()| payload)
                })?;
                let seconds = track.seconds();
                Ok(Done { items: rows.len(), loop_iterations, loop_checksum, payload, seconds })
            })
        };
        let done = tokio::task::spawn_blocking(work).await;
        drop(stopper);
        done.unwrap_or_else(|error| Err(if error.is_panic() { Failure::Panicked } else { Failure::Cancelled }))
    }
}
