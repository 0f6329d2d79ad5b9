//! The events of a recording, in a buffer for each thread.
//!
//! A thread joins the recording with its first event and then writes behind a lock of its own, which only the end of the
//! recording takes too. Under that lock it looks whether the recording still runs, so nothing is written after the end.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::names::NameId;
use crate::sys::monotonic_ns;
use crate::threads::{self, Thread};

/// Events that a recording keeps: 32 MiB, which become some 40 MiB for Perfetto. More would take its page minutes to load.
pub(super) const CAPACITY: usize = 1 << 20;

/// Events that a thread reserves at once: 8 KiB, so that hundreds of threads can share the bound and none has to ask often.
const CHUNK: usize = 256;

#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// In nanoseconds of the monotonic clock.
    pub(super) at: u64,
    pub(super) kind: Kind,
    pub(super) name: NameId,
    /// Of the task, or of the span for `tracing`.
    pub(super) id: u64,
    /// Of a wake and of the poll that it causes, the number that tells that; of a span, its OpenTelemetry id; zero for none.
    pub(super) other: u64,
}

const _: () = assert!(size_of::<Event>() <= 32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    PollBegin,
    PollEnd,
    Wake,
    Spawn,
    Enter,
    Exit,
}

/// A recording.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    pub(super) began: u64,
    /// Chunks that are left.
    room: AtomicUsize,
    lost: AtomicU64,
    buffers: Mutex<Vec<Arc<Buffer>>>,
}

/// The events of one thread, in their order.
#[derive(Debug)]
struct Buffer {
    thread: Arc<Thread>,
    chunks: Mutex<Chunks>,
}

#[derive(Debug, Default)]
struct Chunks {
    full: Vec<Vec<Event>>,
    last: Vec<Event>,
    /// When the first event found no room; none is kept from then on, so that what is there has no holes.
    cut: Option<u64>,
}

/// What a recording got.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) lost: u64,
    pub(super) threads: Vec<ThreadEvents>,
}

#[derive(Debug)]
pub(super) struct ThreadEvents {
    pub(super) thread: Arc<Thread>,
    pub(super) events: Vec<Event>,
    pub(super) cut: Option<u64>,
}

/// The number of the recording that is under way, zero for none.
static NUMBER: AtomicU64 = AtomicU64::new(0);

static CURRENT: Mutex<Current> = Mutex::new(Current { session: None, started: 0 });

struct Current {
    session: Option<Arc<Session>>,
    started: u64,
}

struct Local {
    session: Arc<Session>,
    buffer: Arc<Buffer>,
}

thread_local!(static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) });

#[inline]
pub(super) fn number() -> u64 {
    // Relaxed: what follows is checked again under a lock.
    NUMBER.load(Ordering::Relaxed)
}

impl Session {
    /// Starts a recording, unless there is one.
    pub(super) fn start(events: usize) -> Option<Arc<Self>> {
        let mut current = lock(&CURRENT);
        if current.session.is_some() {
            return None;
        }
        current.started += 1;
        let session = Arc::new(Self {
            number: current.started,
            began: monotonic_ns(),
            room: AtomicUsize::new(events.div_ceil(CHUNK)),
            lost: AtomicU64::new(0),
            buffers: Mutex::default(),
        });
        current.session = Some(Arc::clone(&session));
        NUMBER.store(session.number, Ordering::Relaxed);
        Some(session)
    }

    pub(super) fn stop(&self) -> Recorded {
        {
            let mut current = lock(&CURRENT);
            NUMBER.store(0, Ordering::Relaxed);
            current.session = None;
        }
        let take = |buffer: Arc<Buffer>| {
            // A thread that comes after this lock sees that the recording has stopped.
            let mut chunks = std::mem::take(&mut *lock(&buffer.chunks));
            let last = std::mem::take(&mut chunks.last);
            chunks.full.push(last);
            ThreadEvents { thread: Arc::clone(&buffer.thread), events: chunks.full.concat(), cut: chunks.cut }
        };
        let threads = std::mem::take(&mut *lock(&self.buffers)).into_iter().map(take).collect();
        let (ended, lost) = (monotonic_ns(), self.lost.load(Ordering::Relaxed));
        Recorded { began: self.began, ended, lost, threads }
    }

    fn has_room(&self) -> bool {
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_ok()
    }
}

/// Writes an event, if a recording is under way.
pub(super) fn record(event: Event) {
    // A thread that is about to end has no buffer any more, and an allocator's hook could come here while the buffer grows.
    let written = LOCAL.try_with(|local| {
        let Ok(mut local) = local.try_borrow_mut() else { return };
        let number = number();
        if number == 0 {
            return;
        }
        if local.as_ref().is_none_or(|local| local.session.number != number) {
            *local = join();
        }
        if let Some(local) = local.as_ref() {
            local.write(event);
        }
    });
    if written.is_err()
        && let Some(session) = &lock(&CURRENT).session
    {
        session.lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cold]
fn join() -> Option<Local> {
    let current = lock(&CURRENT);
    let session = Arc::clone(current.session.as_ref()?);
    let thread = threads::with_current(Arc::clone)?;
    let buffer = Arc::new(Buffer { thread, chunks: Mutex::default() });
    lock(&session.buffers).push(Arc::clone(&buffer));
    Some(Local { session, buffer })
}

impl Local {
    #[inline]
    fn write(&self, event: Event) {
        let mut chunks = lock(&self.buffer.chunks);
        if number() != self.session.number {
            return;
        }
        if chunks.last.len() == chunks.last.capacity() && !self.grow(&mut chunks, event.at) {
            self.session.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The time was read before the thread saw that there is a recording.
        chunks.last.push(Event { at: event.at.max(self.session.began), ..event });
    }

    #[cold]
    fn grow(&self, chunks: &mut Chunks, at: u64) -> bool {
        if chunks.cut.is_some() || !self.session.has_room() {
            chunks.cut.get_or_insert(at);
            return false;
        }
        let full = std::mem::replace(&mut chunks.last, Vec::with_capacity(CHUNK));
        if !full.is_empty() {
            chunks.full.push(full);
        }
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
