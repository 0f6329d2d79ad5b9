//! The instruments of a worker.

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;
use otel_exemplars::{Counter, Histogram};
use span_profiler::heap::{AllocatorStats, Totals};

use super::Instruments;
use super::metrics::{counter, histogram};
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
        let meter = Gauges { instruments, attributes: [KeyValue::new(attribute::WORKER_TYPE, worker_type)] };
        meter.gauge(names::WORKER_ACTIVE_TASKS, move || u64::try_from(tasks()).ok());
        meter.gauge(names::WORKER_TASKS_IN_QUEUE, move || u64::try_from(in_queue()).ok());
        // Without jemalloc, or without its samples, there are no series, rather than ones that say zero.
        meter.gauge(names::WORKER_ALLOCATED_MEMORY, || Some(AllocatorStats::read().ok()?.allocated));
        meter.counter(names::WORKER_ALLOCATIONS, || Some(Totals::read()?.bytes));
        meter.counter(names::WORKER_ALLOCATOR_PURGES, || Some(AllocatorStats::read().ok()?.purges));
        let meter = instruments.exemplar_meter();
        Self {
            processed: counter(meter, names::WORKER_TASKS_PROCESSED),
            errors: counter(meter, names::WORKER_TASK_ERRORS),
            duration: histogram(meter, names::WORKER_TASK_PROCESSING_DURATION, names::SECTION_BOUNDARIES),
        }
    }
}

/// Registers what is read when metrics are collected.
struct Gauges<'a> {
    instruments: &'a Instruments,
    attributes: [KeyValue; 1],
}

impl Gauges<'_> {
    fn gauge(&self, instrument: Instrument, read: impl Fn() -> Option<u64> + Send + Sync + 'static) {
        let builder = self.instruments.meter().u64_observable_gauge(instrument.name).with_unit(instrument.unit);
        let builder = builder.with_description(instrument.description);
        let _observed = builder.with_callback(self.callback(read)).build();
    }

    fn counter(&self, instrument: Instrument, read: impl Fn() -> Option<u64> + Send + Sync + 'static) {
        let builder = self.instruments.meter().u64_observable_counter(instrument.name).with_unit(instrument.unit);
        let builder = builder.with_description(instrument.description);
        let _observed = builder.with_callback(self.callback(read)).build();
    }

    fn callback(
        &self,
        read: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static {
        let attributes = self.attributes.clone();
        move |observer| {
            if let Some(value) = read() {
                observer.observe(value, &attributes);
            }
        }
    }
}
