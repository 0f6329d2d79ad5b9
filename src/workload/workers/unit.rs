//! One task: a trace of its own, and records that are made while its span is open.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use otel_exemplars::{BoundCounter, BoundHistogram};
use tracing::Instrument as _;

use super::task::{Malformed, Operation, Task};
use crate::config::WorkerKind;
use crate::names::attribute;
use crate::telemetry::recent::RecentTraces;
use crate::telemetry::{Telemetry, WorkerInstruments};
use crate::workload::CANCELLED;

/// The name of a task's span.
const NAME: &str = "worker_task";

/// The `error.type` of [`Malformed`].
const MALFORMED: &str = "malformed_input";

/// The worker's instruments, bound.
#[derive(Debug)]
pub(super) struct Records {
    kind: WorkerKind,
    operations: [Bound; Operation::ALL.len()],
    recent: Arc<RecentTraces>,
    name: Arc<str>,
}

/// Those of one operation.
#[derive(Debug)]
struct Bound {
    processed: BoundCounter,
    duration: BoundHistogram,
    malformed: BoundCounter,
    cancelled: BoundCounter,
}

impl Records {
    pub(super) fn new(instruments: &WorkerInstruments, kind: WorkerKind, telemetry: &Telemetry) -> Self {
        let operations = Operation::ALL.map(|operation| {
            let attributes = [
                KeyValue::new(attribute::WORKER_TYPE, kind.name()),
                KeyValue::new(attribute::OPERATION, operation.name()),
            ];
            let error = |error_type: &'static str| {
                let error_type = KeyValue::new(attribute::ERROR_TYPE, error_type);
                instruments.errors.bind(&[&attributes[..], &[error_type]].concat())
            };
            Bound {
                processed: instruments.processed.bind(&attributes),
                duration: instruments.duration.bind(&attributes),
                malformed: error(MALFORMED),
                cancelled: error(CANCELLED),
            }
        });
        Self { kind, operations, recent: Arc::clone(&telemetry.recent), name: NAME.into() }
    }

    /// Works on a task in a trace of its own.
    pub(super) async fn unit(&self, task: Task, work: impl Future<Output = Result<(), Malformed>>) {
        let span = tracing::info_span!(parent: None, "worker_task");
        async {
            let attributes = [
                KeyValue::new(attribute::WORKER_TYPE, self.kind.name()),
                KeyValue::new(attribute::OPERATION, task.operation.name()),
                KeyValue::new(attribute::WORKER_TASK_ID, i64::try_from(task.id).unwrap_or(i64::MAX)),
            ];
            Context::map_current(|context| context.span().set_attributes(attributes));
            let unit = Unit { records: self, task, started: Instant::now(), finished: false };
            unit.finish(work.await);
        }
        .instrument(span)
        .await;
    }
}

/// A task under way. It lives inside the task's span, also when it is dropped.
struct Unit<'a> {
    records: &'a Records,
    task: Task,
    started: Instant,
    finished: bool,
}

impl Unit<'_> {
    fn finish(mut self, result: Result<(), Malformed>) {
        self.finished = true;
        self.bound().processed.add(1);
        self.record(result.err().map(|Malformed| (MALFORMED, &self.bound().malformed)));
    }

    fn bound(&self) -> &Bound {
        &self.records.operations[self.task.operation as usize]
    }

    fn record(&self, error: Option<(&'static str, &BoundCounter)>) {
        let (elapsed, operation, task) = (self.started.elapsed(), self.task.operation.name(), self.task.id);
        if let Some((error_type, counter)) = error {
            Context::map_current(|context| {
                let span = context.span();
                span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
                span.set_status(Status::error(error_type));
            });
            counter.add(1);
            tracing::debug!(task, operation, error_type, "a task failed");
        }
        Context::map_current(|context| {
            self.records.recent.push_span(context.span().span_context(), &self.records.name, elapsed);
        });
        self.bound().duration.record(elapsed.as_secs_f64());
    }
}

impl Drop for Unit<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.record(Some((CANCELLED, &self.bound().cancelled)));
        }
    }
}
