//! What the registry knows of one task.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use super::round::Round;
use crate::labels::Label;
use crate::names::NameId;
use crate::sys::monotonic_ns;
use crate::threads::{Published, Thread};
use crate::{execution, threads};

/// The task is being polled.
const RUNNING: u8 = 1;
/// It was woken, or is new, and was not polled since.
const WOKEN: u8 = 2;
/// A dump wants to know where it waits.
const ASKED: u8 = 4;
/// It ended.
const ENDED: u8 = 8;

/// One task. Only the thread that polls it writes the numbers of polls, so they need no read-modify-write.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) name: NameId,
    /// Times are in nanoseconds of the monotonic clock.
    pub(super) born: u64,
    flags: AtomicU8,
    polls: AtomicU64,
    wakes: AtomicU64,
    busy: AtomicU64,
    last_poll: AtomicU64,
    began: AtomicU64,
    ended: AtomicU64,
    /// Of the latest poll.
    thread: AtomicU32,
    /// The wake that causes the next poll, by its number in execution traces; zero for none.
    cause: AtomicU64,
    /// The span that was entered last in the latest poll.
    label: Published,
    /// Wakes the task without being counted.
    waker: Mutex<Option<Waker>>,
    /// The dumps that wait for an answer.
    asked: Mutex<Vec<Arc<Round>>>,
}

/// A moment of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) running: bool,
    pub(super) woken: bool,
    pub(super) polls: u64,
    pub(super) wakes: u64,
    pub(super) busy: u64,
    pub(super) last_poll: u64,
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// A poll that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    began: u64,
    /// Only a dump wanted it: nothing woke the task.
    pub(super) for_dump_only: bool,
    /// Dumps wait for an answer.
    pub(super) asked: bool,
}

impl Entry {
    pub(super) fn new(id: u64, name: NameId) -> Self {
        Self {
            id,
            name,
            born: monotonic_ns(),
            flags: AtomicU8::new(WOKEN),
            polls: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            last_poll: AtomicU64::new(0),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            cause: AtomicU64::new(0),
            label: Published::default(),
            waker: Mutex::new(None),
            asked: Mutex::new(Vec::new()),
        }
    }

    #[inline]
    pub(super) fn begin(&self, thread: Option<&Thread>) -> Begun {
        let began = monotonic_ns();
        self.began.store(began, Ordering::Relaxed);
        self.thread.store(thread.map_or(u32::MAX, |thread| thread.index), Ordering::Relaxed);
        // A dump that asks from here on has the task polled once more.
        let before = self.flags.swap(RUNNING, Ordering::AcqRel);
        let asked = before & ASKED != 0;
        if execution::active() {
            execution::poll_began(began, self.name, self.id, self.cause.swap(0, Ordering::Relaxed));
        }
        Begun { began, for_dump_only: asked && before & WOKEN == 0, asked }
    }

    #[inline]
    pub(super) fn end(&self, poll: &Begun, label: Option<Label>) {
        let now = monotonic_ns();
        if execution::active() {
            execution::poll_ended(now, self.name, self.id);
        }
        // A poll that only a dump wanted leaves no trace in the numbers, or dumps would change what they show.
        if !poll.for_dump_only {
            let add = |to: &AtomicU64, value| to.store(to.load(Ordering::Relaxed) + value, Ordering::Relaxed);
            let took = now.saturating_sub(poll.began);
            add(&self.polls, 1);
            add(&self.busy, took);
            self.last_poll.store(took, Ordering::Relaxed);
            self.ended.store(now, Ordering::Relaxed);
        }
        self.label.set(label);
        self.flags.fetch_and(!RUNNING, Ordering::AcqRel);
    }

    fn woken(&self) {
        let number = self.wakes.fetch_add(1, Ordering::Relaxed) + 1;
        if execution::active() {
            self.record_wake(number);
        }
        self.flags.fetch_or(WOKEN, Ordering::AcqRel);
    }

    #[cold]
    fn record_wake(&self, number: u64) {
        // Only the first wake since the latest poll causes the next one. The poll can begin once the flag is set, so the cause
        // is there before.
        let first = self.flags.load(Ordering::Acquire) & WOKEN == 0;
        let flow = if first { self.flow(number) } else { 0 };
        if first {
            self.cause.store(flow, Ordering::Relaxed);
        }
        execution::woke(self.name, self.id, flow);
    }

    /// Unique in a trace: ids are counted from one, and a task is not woken four thousand million times in a recording.
    fn flow(&self, wake: u64) -> u64 {
        self.id << 32 | wake & u64::from(u32::MAX)
    }

    /// The task is new: that too causes a poll.
    pub(super) fn spawned(&self) {
        if execution::active() {
            let flow = self.flow(0);
            self.cause.store(flow, Ordering::Relaxed);
            execution::spawned(self.name, self.id, flow);
        }
    }

    pub(super) fn set_waker(&self, waker: Option<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }

    /// Asks the task to tell `round` where it waits when it is polled next, and has it polled. False if it was never polled
    /// and so cannot be woken.
    pub(super) fn ask(&self, round: &Arc<Round>) -> bool {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(waker) = waker else { return false };
        let mut asked = self.asked();
        // Under the same lock as the end, which answers all who ask before it.
        if self.flags.load(Ordering::Acquire) & ENDED != 0 {
            return false;
        }
        asked.push(Arc::clone(round));
        round.expect_one();
        self.flags.fetch_or(ASKED, Ordering::AcqRel);
        drop(asked);
        // The waker of a tracked future inside of another one is the outer one's, which must not count this.
        ASKING.set(true);
        waker.wake();
        ASKING.set(false);
        true
    }

    /// The dumps that wait for an answer, who are answered, if only by dropping them.
    pub(super) fn take_asked(&self) -> Vec<Arc<Round>> {
        let mut asked = self.asked();
        self.flags.fetch_and(!ASKED, Ordering::AcqRel);
        std::mem::take(&mut *asked)
    }

    /// Takes a question back, if the task has not taken it.
    pub(super) fn withdraw(&self, round: &Arc<Round>) {
        let mut asked = self.asked();
        asked.retain(|other| !Arc::ptr_eq(other, round));
        if asked.is_empty() {
            self.flags.fetch_and(!ASKED, Ordering::AcqRel);
        }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Arc<Round>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task ended.
    pub(super) fn close(&self) {
        {
            let _asked = self.asked();
            self.flags.fetch_or(ENDED, Ordering::AcqRel);
        }
        for round in self.take_asked() {
            round.one_less();
        }
        // Breaks the circle: the waker keeps the task, the task this entry.
        self.set_waker(None);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ENDED != 0
    }

    pub(super) fn seen(&self) -> Seen {
        let flags = self.flags.load(Ordering::Acquire);
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Seen {
            running: flags & RUNNING != 0,
            woken: flags & WOKEN != 0,
            polls: get(&self.polls),
            wakes: get(&self.wakes),
            busy: get(&self.busy),
            last_poll: get(&self.last_poll),
            began: get(&self.began),
            ended: get(&self.ended),
        }
    }

    /// The same as it will be when the poll that runs has ended.
    pub(super) fn seen_at_end(&self, poll: &Begun) -> Seen {
        let seen = self.seen();
        if poll.for_dump_only {
            return Seen { running: false, ..seen };
        }
        let now = monotonic_ns();
        let took = now.saturating_sub(poll.began);
        let (polls, busy) = (seen.polls + 1, seen.busy + took);
        Seen { running: false, polls, busy, last_poll: took, ended: now, ..seen }
    }

    /// The poll that runs now, if any.
    pub(super) fn open_poll(&self) -> Option<execution::OpenPoll> {
        let seen = self.seen();
        let thread = self.thread().filter(|_| seen.running)?;
        Some(execution::OpenPoll { task: self.id, name: self.name, began: seen.began, thread })
    }

    /// The span that was entered last in the latest poll.
    pub(super) fn label(&self) -> Option<Label> {
        self.label.get()
    }

    /// The thread that polls the task, or polled it last.
    pub(super) fn thread(&self) -> Option<Arc<Thread>> {
        threads::get(self.thread.load(Ordering::Relaxed))
    }
}

thread_local! {
    /// Whether this thread wakes a task for a dump.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// The ordinary waker of a task: counts, then wakes as it was asked to.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) entry: Arc<Entry>,
    /// The waker that the task was polled with.
    pub(super) inner: Waker,
}

impl Wake for Link {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !ASKING.get() {
            self.entry.woken();
        }
        self.inner.wake_by_ref();
    }
}
