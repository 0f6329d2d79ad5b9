//! The same work done right: function by function what the other worker does wrong.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use span_profiler::tasks::spawn_named;
use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::task::{Checksum, Ledger, Malformed, Operation, Task, checked, receipt};
use super::{Latency, Method};

/// Texts that are remembered.
const REMEMBERED: usize = 32;

/// The worker that does it right.
#[derive(Debug, Default)]
pub(super) struct Optimized {
    latency: Latency,
    ledger: Mutex<Ledger>,
    history: Mutex<VecDeque<String>>,
}

impl Optimized {
    pub(super) fn new(latency: Latency) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Waits without a thread.
    async fn fetch(&self, task: Task) -> String {
        tokio::time::sleep(self.latency.fetch).await;
        task.text()
    }

    /// Computes and delivers first; the lock is held for an addition.
    async fn settle(&self, task: Task, text: &str, value: Result<u64, Malformed>) {
        let receipt = value.map(|value| receipt(text, value));
        tokio::time::sleep(self.latency.deliver).await;
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).enter(task, receipt);
    }

    /// Keeps the last ones, without copying them.
    #[inline(never)]
    fn remember_latest(&self, text: String) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == REMEMBERED {
            history.pop_front();
        }
        history.push_back(text);
    }
}

impl Method for Optimized {
    async fn process(&self, task: Task) -> Result<(), Malformed> {
        let text = self.fetch(task).instrument(tracing::info_span!("fetch")).await;
        let value = tracing::info_span!("transform").in_scope(|| match task.operation {
            Operation::Normalize => normalize(&text),
            Operation::Count => count(&text),
            Operation::Sort => sort(&text),
        });
        // It is sent what it waits for, and it has ended when this returns.
        let (sender, receiver) = oneshot::channel();
        let watcher = spawn_named("watcher", receiver);
        self.settle(task, &text, value).instrument(tracing::info_span!("settle")).await;
        self.remember_latest(text);
        // The task would have to be gone, and then there is nobody to tell.
        let _ = sender.send(task.id);
        let _ = watcher.await;
        value.map(drop)
    }

    fn ledger(&self) -> Ledger {
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Needs no memory: the checksum takes the words one by one.
#[inline(never)]
fn normalize(text: &str) -> Result<u64, Malformed> {
    let mut sum = Checksum::new();
    for word in text.split(' ') {
        for byte in checked(word)?.bytes() {
            sum.add(&[byte.to_ascii_lowercase()]);
        }
        sum.add(b" ");
    }
    Ok(sum.value())
}

/// One string for all words; the map has slices of it.
#[inline(never)]
fn count(text: &str) -> Result<u64, Malformed> {
    let text = text.to_ascii_lowercase();
    let mut counts: HashMap<&str, u64> = HashMap::with_capacity(512);
    for word in text.split(' ') {
        *counts.entry(checked(word)?).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    let (mut sum, mut line) = (Checksum::new(), String::new());
    for (word, count) in counts {
        line.clear();
        // Writing to a string cannot fail.
        let _ = write!(line, "{word} {count} ");
        sum.add(line.as_bytes());
    }
    Ok(sum.value())
}

/// Sorts once, in place.
#[inline(never)]
fn sort(text: &str) -> Result<u64, Malformed> {
    let text = text.to_ascii_lowercase();
    let mut words = text.split(' ').map(checked).collect::<Result<Vec<_>, _>>()?;
    words.sort_unstable();
    words.dedup();
    let mut sum = Checksum::new();
    for (index, word) in words.into_iter().enumerate() {
        if index > 0 {
            sum.add(b" ");
        }
        sum.add(word.as_bytes());
    }
    Ok(sum.value())
}
