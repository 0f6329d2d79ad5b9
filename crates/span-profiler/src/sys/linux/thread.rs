//! The threads of this process: the bounds of their stacks, and a timer for each.
#![expect(unsafe_code, reason = "asks the system about threads")]

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::timer::Timer;

/// Counts the starts of the profiler; a thread whose timer belongs to an earlier one needs a new one. Odd while it runs.
static GENERATION: AtomicU32 = AtomicU32::new(0);

static TIMERS: Mutex<Option<ThreadTimers>> = Mutex::new(None);

thread_local! {
    // Constant and without destructors, so that the signal handler may read them at any time of a thread's life.
    static LOW: AtomicUsize = const { AtomicUsize::new(0) };
    static HIGH: AtomicUsize = const { AtomicUsize::new(0) };
    static TID: Cell<i32> = const { Cell::new(0) };
    static ARMED: Cell<u32> = const { Cell::new(0) };
    /// Takes the timer away when the thread ends.
    static ON_EXIT: OnExit = const { OnExit };
}

/// The lowest and the highest address of a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    low: usize,
    high: usize,
}

impl Bounds {
    pub(super) fn contains(&self, address: usize) -> bool {
        (self.low..self.high).contains(&address)
    }
}

/// The bounds of this thread's stack, if it has armed itself. Async-signal-safe.
pub(super) fn bounds() -> Option<Bounds> {
    let high = HIGH.with(|high| high.load(Ordering::Relaxed));
    (high != 0).then(|| Bounds { low: LOW.with(|low| low.load(Ordering::Relaxed)), high })
}

/// The kernel's number of this thread. Async-signal-safe.
pub(super) fn tid() -> i32 {
    TID.with(|tid| {
        if tid.get() == 0 {
            // SAFETY: asks for a number.
            tid.set(unsafe { libc::gettid() });
        }
        tid.get()
    })
}

/// Gives this thread its timer, unless it has one or no profiler runs. Costs a comparison when there is nothing to do.
#[inline]
pub(crate) fn arm_this_thread() {
    let generation = GENERATION.load(Ordering::Relaxed);
    if generation.is_multiple_of(2) || ARMED.with(Cell::get) == generation {
        return;
    }
    arm_slowly(generation);
}

#[cold]
fn arm_slowly(generation: u32) {
    // First, so that the system calls below, made by an allocator's hook perhaps, cannot come here again.
    ARMED.with(|armed| armed.set(generation));
    if HIGH.with(|high| high.load(Ordering::Relaxed)) == 0
        && let Some(bounds) = ask_bounds()
    {
        LOW.with(|low| low.store(bounds.low, Ordering::Relaxed));
        HIGH.with(|high| high.store(bounds.high, Ordering::Relaxed));
    }
    // A thread that ends has no place for a destructor any more; the next scan takes its timer away.
    let _ = ON_EXIT.try_with(|_| ());
    if let Some(timers) = timers().as_mut() {
        timers.arm(tid());
    }
}

/// Whether the system gives this thread a timer at all.
///
/// # Errors
/// What it says.
pub(crate) fn check_timers() -> io::Result<()> {
    Timer::new(tid()).map(drop)
}

struct OnExit;

impl Drop for OnExit {
    fn drop(&mut self) {
        if let Some(timers) = timers().as_mut() {
            timers.by_thread.remove(&tid());
        }
    }
}

/// Asks the C library for this thread's stack.
fn ask_bounds() -> Option<Bounds> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: the call initialises the attributes of a living thread, this one.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the attributes were initialised above, and both results are written to valid places.
    let result = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut bytes) };
    // SAFETY: initialised above, and not used afterwards.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    let low = low as usize;
    (result == 0).then_some(Bounds { low, high: low.checked_add(bytes)? })
}

/// The timers of the running profiler, `None` when none runs.
pub(crate) fn timers() -> MutexGuard<'static, Option<ThreadTimers>> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One timer for each thread; as many as there are threads.
#[derive(Debug)]
pub(crate) struct ThreadTimers {
    by_thread: HashMap<i32, Timer>,
    period: Duration,
    /// Threads that live and were given none.
    failed: HashSet<i32>,
    random: u64,
}

impl ThreadTimers {
    /// Lets threads arm themselves from now on.
    pub(crate) fn start() {
        *timers() = Some(Self {
            by_thread: HashMap::new(),
            period: Duration::ZERO,
            failed: HashSet::new(),
            // Any odd number starts a xorshift.
            random: u64::from(std::process::id()) << 1 | 1,
        });
        GENERATION.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes every timer away, if there are any.
    pub(crate) fn stop() {
        if timers().take().is_some() {
            GENERATION.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sets the CPU time between two signals of a thread; zero for no signals.
    pub(crate) fn set_period(&mut self, period: Duration) {
        self.period = period;
        let mut timers = std::mem::take(&mut self.by_thread);
        timers.retain(|_, timer| self.start_timer(timer).is_ok());
        self.by_thread = timers;
    }

    /// Arms threads that are new, and forgets those that are gone.
    ///
    /// # Errors
    /// When the threads cannot be listed.
    pub(crate) fn scan(&mut self) -> io::Result<()> {
        let mut alive = HashSet::new();
        for entry in std::fs::read_dir("/proc/self/task")? {
            let name = entry?.file_name();
            let Some(tid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            alive.insert(tid);
            self.arm(tid);
        }
        self.by_thread.retain(|tid, _| alive.contains(tid));
        self.failed.retain(|tid| alive.contains(tid));
        Ok(())
    }

    /// How many threads have a timer.
    pub(crate) fn threads(&self) -> usize {
        self.by_thread.len()
    }

    /// How many threads could not be given a timer.
    pub(crate) fn failed(&self) -> usize {
        self.failed.len()
    }

    /// Gives a thread a timer, unless it has one that lives: numbers of threads come again.
    fn arm(&mut self, tid: i32) {
        if self.by_thread.get(&tid).is_some_and(|timer| self.period.is_zero() || timer.is_armed()) {
            return;
        }
        let made = Timer::new(tid).and_then(|timer| self.start_timer(&timer).map(|()| timer));
        match made {
            Ok(timer) => {
                self.by_thread.insert(tid, timer);
                self.failed.remove(&tid);
            }
            // The thread ended in between.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(_) => drop(self.failed.insert(tid)),
        }
    }

    /// The first signal comes after a random part of the period, so that threads which live shorter than a period are
    /// seen as often as their CPU time deserves.
    fn start_timer(&mut self, timer: &Timer) -> io::Result<()> {
        // Xorshift64 (Marsaglia 2003), of whose bits 53 make a number in [0, 1).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let part = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        timer.set(self.period.mul_f64(1.0 - part), self.period)
    }
}
