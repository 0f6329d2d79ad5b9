//! Makes a phase observable with one line at its call site.
//!
//! ```text
//! let rows = track.future(Section::DbQuery, database.products(50, latency)).await?;
//! let sum = track.run(Section::CpuLoop, || checksum(iterations))?;
//! ```
//!
//! Each call is a span, a record in `section.duration{section}` that is made while this span is open and current (an
//! exemplar can only mark an open span), and a line in the debug log. A phase that is cancelled is recorded too.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tracing::{Instrument as _, Span};

use super::{CANCELLED, Failure};
use crate::names::{Section, attribute};
use crate::telemetry::Instruments;

/// Tracks the phases of one request and remembers how long they took.
#[derive(Debug)]
pub struct Track {
    instruments: Arc<Instruments>,
    seconds: [f64; Section::ALL.len()],
}

impl Track {
    /// No phase has run yet.
    #[must_use]
    pub fn new(instruments: Arc<Instruments>) -> Self {
        Self { instruments, seconds: [0.0; Section::ALL.len()] }
    }

    /// Runs a synchronous phase.
    ///
    /// # Errors
    /// What the phase returns.
    pub fn run<T>(&mut self, section: Section, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let (result, seconds) = span(section).in_scope(|| {
            let timer = Timer::start(section, &self.instruments);
            timer.finish(work())
        });
        self.seconds[section as usize] = seconds;
        result
    }

    /// Runs an asynchronous phase.
    ///
    /// # Errors
    /// What the phase returns.
    ///
    /// # Cancel safety
    /// When the future is dropped, the phase so far is recorded as cancelled.
    pub async fn future<T>(
        &mut self,
        section: Section,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let instruments = &self.instruments;
        let measured = async {
            let timer = Timer::start(section, instruments);
            timer.finish(work.await)
        };
        let (result, seconds) = measured.instrument(span(section)).await;
        self.seconds[section as usize] = seconds;
        result
    }

    /// The durations so far in seconds, in the order of [`Section::ALL`].
    #[must_use]
    pub fn seconds(&self) -> [f64; Section::ALL.len()] {
        self.seconds
    }
}

/// The span of a phase. The database phase is a client span.
fn span(section: Section) -> Span {
    // A span's name and fields are static, so each phase has its own line here.
    match section {
        Section::DbQuery => tracing::info_span!("db_query", otel.kind = "client"),
        Section::CpuLoop => tracing::info_span!("cpu_loop"),
        Section::JsonEncode => tracing::info_span!("json_encode"),
    }
}

/// The attributes of a phase's span: those of the conventions for a database client.
fn attributes(section: Section) -> Option<[KeyValue; 4]> {
    (section == Section::DbQuery).then(|| {
        [
            KeyValue::new(attribute::DB_SYSTEM_NAME, super::db::SYSTEM),
            KeyValue::new(attribute::DB_OPERATION_NAME, super::db::OPERATION),
            KeyValue::new(attribute::DB_COLLECTION_NAME, super::db::COLLECTION),
            KeyValue::new(attribute::DB_QUERY_SUMMARY, super::db::SUMMARY),
        ]
    })
}

/// Measures a phase from inside its span.
struct Timer<'a> {
    section: Section,
    instruments: &'a Instruments,
    started: Instant,
    finished: bool,
}

impl<'a> Timer<'a> {
    fn start(section: Section, instruments: &'a Instruments) -> Self {
        // Straight to the span: the bridge would copy each text.
        if let Some(attributes) = attributes(section) {
            Context::map_current(|context| context.span().set_attributes(attributes));
        }
        Self { section, instruments, started: Instant::now(), finished: false }
    }

    fn finish<T>(mut self, result: Result<T, Failure>) -> (Result<T, Failure>, f64) {
        self.finished = true;
        let seconds = self.record(result.as_ref().err().map(Failure::error_type));
        (result, seconds)
    }

    fn record(&self, error_type: Option<&'static str>) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(error_type) = error_type {
            Context::map_current(|context| {
                let span = context.span();
                span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
                span.set_status(Status::error(""));
            });
        }
        self.instruments.section(self.section).record(seconds);
        tracing::debug!(section = self.section.name(), seconds, error_type, "phase finished");
        seconds
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.record(Some(CANCELLED));
        }
    }
}
