//! The instruments of tokio's runtime, read when metrics are collected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use span_profiler::tasks;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::Instruments;
use crate::names::{self, Instrument, attribute};

/// Registers all `tokio.*` instruments, of the runtime that this is called in.
///
/// # Panics
/// Outside of a tokio runtime.
pub(super) fn register(instruments: &Instruments) {
    let metrics = Handle::current().metrics();
    let gauge = |instrument: Instrument, value: fn(&RuntimeMetrics) -> usize| {
        let metrics = metrics.clone();
        instruments.observe_gauge(instrument, move |gauge| {
            gauge.observe(i64::try_from(value(&metrics)).unwrap_or(i64::MAX), &[]);
        });
    };
    gauge(names::TOKIO_TASKS_ALIVE, RuntimeMetrics::num_alive_tasks);
    gauge(names::TOKIO_WORKERS, RuntimeMetrics::num_workers);
    gauge(names::TOKIO_GLOBAL_QUEUE_DEPTH, RuntimeMetrics::global_queue_depth);
    busy(instruments, metrics.clone());
    instruments.observe_counter(names::TOKIO_WORKER_PARKS, move |counter| {
        counter.observe(workers(&metrics).map(|worker| metrics.worker_park_count(worker)).sum(), &[]);
    });
    by_name(instruments);
}

fn workers(metrics: &RuntimeMetrics) -> std::ops::Range<usize> {
    0..metrics.num_workers()
}

fn busy(instruments: &Instruments, metrics: RuntimeMetrics) {
    let instrument = names::TOKIO_WORKER_BUSY;
    let _observed = instruments
        .meter()
        .f64_observable_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_callback(move |observer| {
            let busy = workers(&metrics).map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64());
            observer.observe(busy.sum(), &[]);
        })
        .build();
}

/// Names are written in the source, so there are some dozens of them. One that has no tasks any more stays with 0, so that
/// the end of a leak is a point and not a gap.
fn by_name(instruments: &Instruments) {
    let seen: Mutex<BTreeMap<Arc<str>, [KeyValue; 1]>> = Mutex::default();
    instruments.observe_gauge(names::TOKIO_TASKS_BY_NAME, move |gauge| {
        let counts = tasks::count_by_name();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for name in counts.keys() {
            seen.entry(Arc::clone(name)).or_insert_with(|| [KeyValue::new(attribute::NAME, Arc::clone(name))]);
        }
        for (name, attributes) in &*seen {
            let count = counts.get(name).copied().unwrap_or_default();
            gauge.observe(i64::try_from(count).unwrap_or(i64::MAX), attributes);
        }
    });
}
