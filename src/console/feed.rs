//! From the threads that make telemetry to the store, without holding them up.
//!
//! A thread that ends a span writes its record into memory of its own and then copies it to what waits: a lock is held for
//! a copy of some hundred bytes. The console's own thread files what waits, and collects the metrics.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_sdk::trace::SpanData;
use otel_exemplars::{Exposition, PickedExemplar};

use super::store::{Exemplar, History, Store};
use crate::telemetry::Tap;

/// How often what waits is filed: a page that shows it is refreshed every two seconds.
const FILED_EVERY: Duration = Duration::from_millis(100);

/// How often metrics are collected: a second, as columns are whole seconds.
const COLLECTED_EVERY: Duration = Duration::from_secs(1);

/// Records that wait: a second of 10,000 spans. Beyond it they are dropped and counted.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// Exemplars that wait: as many as wait for an export.
const MAX_WAITING_EXEMPLARS: usize = 4_096;

/// What is kept of the memory for waiting records when they have been filed.
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes spans and exemplars in.
#[derive(Debug)]
pub struct Feed {
    store: Arc<Store>,
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Records, each after its trace in 16 bytes and its length in 4.
    records: Vec<u8>,
    exemplars: Vec<Exemplar>,
    dropped: u64,
    stopping: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.exemplars.is_empty()
    }
}

impl Feed {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, waiting: Mutex::default(), news: Condvar::new() }
    }

    /// Spans that came faster than they could be filed.
    pub(super) fn dropped(&self) -> u64 {
        self.waiting().dropped
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, trace_id: u128, record: &[u8]) {
        let Ok(length) = u32::try_from(record.len()) else { return };
        let mut waiting = self.waiting();
        if waiting.records.len() + record.len() > MAX_WAITING_BYTES {
            waiting.dropped += 1;
            return;
        }
        let first = waiting.is_empty();
        waiting.records.extend_from_slice(&trace_id.to_be_bytes());
        waiting.records.extend_from_slice(&length.to_be_bytes());
        waiting.records.extend_from_slice(record);
        drop(waiting);
        if first {
            self.news.notify_one();
        }
    }

    /// Files what waits.
    pub(super) fn file(&self, records: &mut Vec<u8>) {
        records.clear();
        records.shrink_to(KEPT_BYTES);
        let mut waiting = self.waiting();
        std::mem::swap(&mut waiting.records, records);
        let exemplars = std::mem::take(&mut waiting.exemplars);
        drop(waiting);
        let mut rest = &records[..];
        let spans = std::iter::from_fn(|| {
            let (trace_id, after) = rest.split_first_chunk()?;
            let (length, after) = after.split_first_chunk()?;
            let (record, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = after;
            Some((u128::from_be_bytes(*trace_id), record))
        });
        self.store.file(exemplars, spans);
    }

    /// Files and collects until it is told to stop.
    pub(super) fn run(&self, history: &History, exposition: Option<&Exposition>) {
        let mut records = Vec::new();
        let mut collect_at = Instant::now();
        loop {
            let waiting = self.waiting();
            let until = collect_at.saturating_duration_since(Instant::now());
            let idle = |waiting: &mut Waiting| waiting.is_empty() && !waiting.stopping;
            let (waiting, _) =
                self.news.wait_timeout_while(waiting, until, idle).unwrap_or_else(PoisonError::into_inner);
            // What came is soon followed by more.
            let (waiting, _) = self
                .news
                .wait_timeout_while(waiting, FILED_EVERY.min(until), |waiting| !waiting.stopping)
                .unwrap_or_else(PoisonError::into_inner);
            let stopping = waiting.stopping;
            drop(waiting);
            self.file(&mut records);
            if stopping {
                return;
            }
            if Instant::now() >= collect_at {
                collect(&self.store, history, exposition);
                // In the middle of each second, so that every column of a chart has as many collections as the next.
                let into = Duration::from_nanos((now() + COLLECTED_EVERY / 2).subsec_nanos().into());
                collect_at = Instant::now() + COLLECTED_EVERY - into;
            }
        }
    }

    /// Ends [`Self::run`].
    pub(super) fn stop(&self) {
        self.waiting().stopping = true;
        self.news.notify_all();
    }
}

/// Since the Unix epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn collect(store: &Store, history: &History, exposition: Option<&Exposition>) {
    let now = u64::try_from(now().as_nanos()).unwrap_or(u64::MAX);
    store.expire(now);
    // Fails when the provider has been shut down, and then nothing changes any more.
    if let Some(Ok(metrics)) = exposition.map(Exposition::collect) {
        history.sample(&metrics, now);
    }
}

impl Tap for Feed {
    fn ended(&self, span: &SpanData) {
        let trace_id = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
        // Gone when the thread is about to be: a span that ends then has no record.
        let _gone = RECORD.try_with(|record| {
            let Ok(mut record) = record.try_borrow_mut() else { return };
            record.clear();
            self.store.write(&mut record, span);
            self.put(trace_id, &record);
        });
    }

    fn picked(&self, exemplar: &PickedExemplar<'_>) {
        let exemplar = Exemplar::from(exemplar);
        let mut waiting = self.waiting();
        let first = waiting.is_empty();
        if waiting.exemplars.len() < MAX_WAITING_EXEMPLARS {
            waiting.exemplars.push(exemplar);
        }
        drop(waiting);
        if first {
            self.news.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
