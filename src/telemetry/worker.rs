//! The instruments of a worker.

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;
use otel_exemplars::{Counter, Histogram};
use span_profiler::heap::Totals;

use super::metrics::{counter, histogram};
use super::{Instruments, allocator};
use crate::names::{self, Instrument, attribute};

/// What tasks record with; bind with `worker_type` and `operation`.
#[derive(Debug)]
pub struct WorkerInstruments {
    /// `worker.tasks.processed`.
    pub processed: Counter,
    /// `worker.task.errors`.
    pub errors: Counter,
    /// `worker.task.processing.duration`.
    pub duration: Histogram,
}

impl WorkerInstruments {
    /// Makes the instruments; `tasks` and `in_queue` are asked when metrics are collected, and so is the allocator.
    pub fn new(
        instruments: &Instruments,
        worker_type: &'static str,
        tasks: impl Fn() -> usize + Send + Sync + 'static,
        in_queue: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        let observed = Observed { instruments, attributes: [KeyValue::new(attribute::WORKER_TYPE, worker_type)] };
        observed.gauge(names::WORKER_ACTIVE_TASKS, move || i64::try_from(tasks()).ok());
        observed.gauge(names::WORKER_TASKS_IN_QUEUE, move || i64::try_from(in_queue()).ok());
        // Without jemalloc, or without its samples, there are no series, rather than ones that say zero.
        observed.gauge(names::WORKER_ALLOCATED_MEMORY, || i64::try_from(allocator::stats()?.allocated).ok());
        observed.counter(names::WORKER_ALLOCATIONS, || Some(Totals::read()?.bytes));
        observed.counter(names::WORKER_ALLOCATOR_PURGES, || Some(allocator::stats()?.purges));
        let meter = instruments.exemplar_meter();
        Self {
            processed: counter(meter, names::WORKER_TASKS_PROCESSED),
            errors: counter(meter, names::WORKER_TASK_ERRORS),
            duration: histogram(meter, names::WORKER_TASK_PROCESSING_DURATION, names::SECTION_BOUNDARIES),
        }
    }
}

/// Registers what is read when metrics are collected, all of it with `worker_type`.
struct Observed<'a> {
    instruments: &'a Instruments,
    attributes: [KeyValue; 1],
}

impl Observed<'_> {
    fn gauge(&self, instrument: Instrument, read: impl Fn() -> Option<i64> + Send + Sync + 'static) {
        self.instruments.observe_gauge(instrument, self.reporting(read));
    }

    fn counter(&self, instrument: Instrument, read: impl Fn() -> Option<u64> + Send + Sync + 'static) {
        self.instruments.observe_counter(instrument, self.reporting(read));
    }

    fn reporting<T>(
        &self,
        read: impl Fn() -> Option<T> + Send + Sync + 'static,
    ) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
        let attributes = self.attributes.clone();
        move |observer| {
            if let Some(value) = read() {
                observer.observe(value, &attributes);
            }
        }
    }
}
