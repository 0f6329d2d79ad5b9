//! One dump: asks every task, waits for the answers, lists what it got.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, Seen};
use super::registry::REGISTRY;
use super::report::{Span, Stack, State, Task, TaskDump};
use crate::labels::Label;
use crate::names;
use crate::profile::Profile;
use crate::sys::{MAX_FRAMES, monotonic_ns};

/// Different stacks that one task keeps: a `select` rarely waits for more.
const STACKS: usize = 4;

/// Addresses of different stacks that one dump keeps, 8 MiB of them. Equal stacks are kept once, so only tens of thousands of
/// different places come near.
const ADDRESSES: usize = 1 << 20;

/// A dump that is under way.
#[derive(Debug)]
pub(super) struct Round {
    /// Answers that are missing, and one for the asking itself.
    missing: AtomicUsize,
    asker: Thread,
    answers: Mutex<Vec<(u64, Arc<Answer>)>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    stacks: HashSet<Arc<[u64]>>,
    addresses: usize,
    left_out: u64,
}

/// What a task says of itself.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) stacks: Vec<Stack>,
    /// Await points whose stack is not among them.
    pub(super) more: u64,
    pub(super) label: Option<Label>,
    /// At the end of the poll.
    pub(super) seen: Seen,
}

/// What the await points of a poll report.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) stacks: Vec<Stack>,
    pub(super) more: u64,
    pub(super) label: Option<Label>,
}

impl Captured {
    /// Keeps the latest different stacks: a poll that got further before it had to wait has passed the earlier ones.
    pub(super) fn add(&mut self, stack: &[u64], round: &Round, label: Option<Label>) {
        self.label = label.or(self.label);
        let mut whole = [0; MAX_FRAMES + 1];
        let stack = if stack.len() < MAX_FRAMES {
            stack
        } else {
            whole[..MAX_FRAMES].copy_from_slice(stack);
            whole[MAX_FRAMES] = Profile::TRUNCATED;
            &whole
        };
        if let Some(at) = self.stacks.iter().position(|known| known.addresses[..] == *stack) {
            self.stacks[at].times += 1;
            self.stacks[at..].rotate_left(1);
            return;
        }
        let Some(addresses) = round.keep(stack) else {
            self.more += 1;
            return;
        };
        if self.stacks.len() == STACKS {
            self.more += self.stacks.remove(0).times;
        }
        self.stacks.push(Stack { addresses, times: 1 });
    }
}

impl Round {
    fn new() -> Self {
        Self {
            missing: AtomicUsize::new(1),
            asker: std::thread::current(),
            answers: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub(super) fn expect_one(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn one_less(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.asker.unpark();
        }
    }

    /// An answer. The task still has to be counted off.
    pub(super) fn answer(&self, id: u64, answer: Arc<Answer>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((id, answer));
    }

    /// One copy of equal stacks, unless there is no room.
    fn keep(&self, stack: &[u64]) -> Option<Arc<[u64]>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stack) = known.stacks.get(stack) {
            return Some(Arc::clone(stack));
        }
        if known.addresses + stack.len() > ADDRESSES {
            known.left_out += 1;
            return None;
        }
        known.addresses += stack.len();
        let stack = Arc::<[u64]>::from(stack);
        known.stacks.insert(Arc::clone(&stack));
        Some(stack)
    }

    fn wait(&self, deadline: Option<Instant>) {
        self.one_less();
        while self.missing.load(Ordering::Acquire) != 0 {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return,
                Some(left) => std::thread::park_timeout(left),
                None => std::thread::park(),
            }
        }
    }
}

/// Takes a dump and waits for it.
pub(super) fn collect(limit: Duration, wait: Duration) -> TaskDump {
    let (started, taken) = (Instant::now(), SystemTime::now());
    let round = Arc::new(Round::new());
    let entries = REGISTRY.entries();
    // A limit beyond what the clock can count is none.
    let deadline = started.checked_add(wait);
    let mut asked = Vec::with_capacity(entries.len());
    // Waking thousands of tasks takes milliseconds, which count too.
    for entry in &entries {
        asked.push(deadline.is_none_or(|deadline| Instant::now() < deadline) && entry.ask(&round));
    }
    round.wait(deadline);
    for (entry, _) in entries.iter().zip(&asked).filter(|(_, asked)| **asked) {
        entry.withdraw(&round);
    }
    let answers = std::mem::take(&mut *round.answers.lock().unwrap_or_else(PoisonError::into_inner));
    let mut answers: HashMap<u64, Arc<Answer>> = answers.into_iter().collect();
    let now = monotonic_ns();
    let tasks = entries.iter().filter(|entry| !entry.has_ended());
    let tasks = tasks.map(|entry| task(entry, answers.remove(&entry.id), now)).collect();
    let left_out = round.known.lock().unwrap_or_else(PoisonError::into_inner).left_out;
    TaskDump {
        tasks,
        taken,
        duration: started.elapsed(),
        limit,
        untracked: REGISTRY.untracked(),
        stacks_left_out: left_out,
    }
}

fn task(entry: &Entry, answer: Option<Arc<Answer>>, now: u64) -> Task {
    let seen = answer.as_ref().map_or_else(|| entry.seen(), |answer| answer.seen);
    let since = |then: u64| Duration::from_nanos(now.saturating_sub(then));
    let thread = entry.thread();
    let (state, label) = if seen.running {
        (State::Running(since(seen.began)), thread.as_ref().and_then(|thread| thread.label.get()))
    } else {
        let label = answer.as_ref().and_then(|answer| answer.label).or_else(|| entry.label());
        (if seen.woken { State::Scheduled } else { State::Idle(since(seen.ended)) }, label)
    };
    let polled = seen.polls > 0;
    Task {
        id: entry.id,
        name: names::text(entry.name),
        state,
        age: since(entry.born),
        polls: seen.polls,
        wakes: seen.wakes,
        last_poll: polled.then(|| Duration::from_nanos(seen.last_poll)),
        busy: Duration::from_nanos(seen.busy),
        span: label.map(|label| Span::new(&label)),
        thread: thread.filter(|_| seen.running).map(|thread| format!("{} ({})", thread.name, thread.tid)),
        answered: answer.is_some(),
        more_stacks: answer.as_ref().map_or(0, |answer| answer.more),
        stacks: answer.map(|answer| answer.stacks.clone()).unwrap_or_default(),
    }
}
