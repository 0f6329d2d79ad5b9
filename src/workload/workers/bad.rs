//! The work with its mistakes, each of a kind that is found in real programs. Each can be seen in a metric, and each has a
//! function of its own whose name a profile shows. None of them can harm the machine: what grows has a cap.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use span_profiler::tasks::spawn_named;
use tokio::sync::oneshot;

use super::task::{Checksum, Ledger, Malformed, Operation, Task, checked, receipt};
use super::{Latency, Method};

/// The history stops growing here: far above what the work needs, and still little for a machine.
pub const MAX_HISTORY_BYTES: usize = 64 << 20;

/// Tasks that are left behind at most, about 1 kB each.
pub const MAX_LEFT_BEHIND: usize = 10_000;

/// The worker that makes mistakes.
#[derive(Debug, Default)]
pub(super) struct Bad {
    latency: Latency,
    ledger: Mutex<Ledger>,
    history: Mutex<History>,
    /// Whoever should send has forgotten to.
    unsent: Mutex<Vec<oneshot::Sender<u64>>>,
}

/// Texts that nobody asks for again.
#[derive(Debug, Default)]
struct History {
    texts: Vec<String>,
    bytes: usize,
}

impl Bad {
    pub(super) fn new(latency: Latency) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Mistake: waits on a thread of the runtime, which then does nothing for other tasks.
    #[inline(never)]
    fn fetch_blocking(&self, task: Task) -> String {
        std::thread::sleep(self.latency.fetch);
        task.text()
    }

    /// Mistake: everybody else waits for the lock while this one computes and delivers.
    #[inline(never)]
    fn settle_under_lock(&self, task: Task, text: &str, value: Result<u64, Malformed>) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = value.map(|value| receipt(text, value));
        std::thread::sleep(self.latency.deliver);
        ledger.enter(task, receipt);
    }

    /// Mistake: keeps everything, in case it were needed again.
    #[inline(never)]
    pub(super) fn remember_everything(&self, text: &str) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.bytes + text.len() <= MAX_HISTORY_BYTES {
            history.bytes += text.len();
            history.texts.push(text.to_owned());
        }
    }

    #[cfg(test)]
    pub(super) fn remembered_bytes(&self) -> usize {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).texts.iter().map(String::len).sum()
    }

    /// Mistake: starts a task that waits for what nobody will send.
    #[inline(never)]
    pub(super) fn leave_behind_a_task(&self) {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        if unsent.len() < MAX_LEFT_BEHIND {
            let (sender, receiver) = oneshot::channel();
            unsent.push(sender);
            spawn_named("watcher", wait_for_an_answer(receiver));
        }
    }
}

/// Waits for ever.
async fn wait_for_an_answer(receiver: oneshot::Receiver<u64>) {
    // An error would say that the sender is gone.
    let _ = receiver.await;
}

impl Method for Bad {
    async fn process(&self, task: Task) -> Result<(), Malformed> {
        let text = tracing::info_span!("fetch").in_scope(|| self.fetch_blocking(task));
        let value = tracing::info_span!("transform").in_scope(|| match task.operation {
            Operation::Normalize => normalize_copying(&text),
            Operation::Count => count_copying(&text),
            Operation::Sort => sort_inserting(&text),
        });
        // Outside of the spans, which would live as long as the task that is left behind.
        self.leave_behind_a_task();
        tracing::info_span!("settle").in_scope(|| {
            self.settle_under_lock(task, &text, value);
            self.remember_everything(&text);
        });
        value.map(drop)
    }

    fn ledger(&self) -> Ledger {
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mistake: with each word, a new string for all that came before.
#[inline(never)]
fn normalize_copying(text: &str) -> Result<u64, Malformed> {
    let mut so_far = String::new();
    for word in text.split(' ') {
        so_far = format!("{so_far}{} ", checked(word)?.to_lowercase());
    }
    let mut sum = Checksum::new();
    sum.add(so_far.as_bytes());
    Ok(sum.value())
}

/// Mistake: three new strings for each word, most of which the map has already.
#[inline(never)]
fn count_copying(text: &str) -> Result<u64, Malformed> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for word in text.split(' ') {
        let word = checked(word)?.to_owned().to_lowercase();
        *counts.entry(word.clone()).or_default() += 1;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort();
    let mut sum = Checksum::new();
    for (word, count) in counts {
        sum.add(format!("{word} {count} ").as_bytes());
    }
    Ok(sum.value())
}

/// Mistake: puts each word where it belongs, and moves all that come behind.
#[inline(never)]
fn sort_inserting(text: &str) -> Result<u64, Malformed> {
    let mut sorted: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word = checked(word)?.to_lowercase();
        let at = sorted.iter().position(|other| *other >= word).unwrap_or(sorted.len());
        sorted.insert(at, word);
    }
    sorted.dedup();
    let mut sum = Checksum::new();
    sum.add(sorted.join(" ").as_bytes());
    Ok(sum.value())
}
