//! The thread that empties the ring, and the state that it shares with those who ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::settings::{ProfilerBuilder, StartError};
use super::{Stats, capture::Running};
use crate::recorder::Recorder;
use crate::ring::{RING, RawSample};
use crate::{labels, sys};

/// Pause of the drain while only the recorder runs, and while a profile is taken; the ring's size follows from these.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(5)];

/// Pause between two looks for threads that did not arm themselves: the shorter, the less of a new thread's
/// time is missed. A look costs some 10 µs with 20 threads.
const SCAN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(20)];

/// SIGPROF has one owner, and so there is one engine.
static RUNNING: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
pub(super) struct Engine {
    settings: ProfilerBuilder,
    state: Mutex<State>,
    /// Wakes the drain when its work changes.
    changed: Condvar,
    samples: AtomicU64,
    /// What the process had counted before the start.
    before: Counted,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Counters of the process.
#[derive(Debug, Clone, Copy)]
struct Counted {
    lost: u64,
    unlabelled: u64,
}

impl Counted {
    fn now() -> Self {
        Self { lost: RING.lost(), unlabelled: labels::lost() }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) recorder: Option<Recorder>,
    pub(super) capture: Option<Running>,
    pub(super) stopping: bool,
}

impl Engine {
    pub(super) fn start(settings: ProfilerBuilder) -> Result<Arc<Self>, StartError> {
        if !sys::SUPPORTED {
            return Err(StartError::Unsupported);
        }
        if RUNNING.swap(true, Ordering::SeqCst) {
            return Err(StartError::AlreadyRunning);
        }
        let started = Self::start_alone(settings);
        if started.is_err() {
            sys::ThreadTimers::stop();
            RUNNING.store(false, Ordering::SeqCst);
        }
        started
    }

    fn start_alone(settings: ProfilerBuilder) -> Result<Arc<Self>, StartError> {
        let refused = |what, fix| move |source| StartError::Refused { what, fix, source };
        if !sys::has_frame_pointers() {
            return Err(StartError::NoFramePointers);
        }
        sys::install()
            .map_err(refused("a handler of SIGPROF", "allow sigaction"))?
            .map_err(|sys::Foreign| StartError::ForeignHandler)?;
        let recorder = (settings.recorder_hz > 0)
            .then(|| Recorder::new(settings.recorder_window, settings.recorder_bytes, Instant::now()));
        let engine = Arc::new(Self {
            settings,
            state: Mutex::new(State { recorder, capture: None, stopping: false }),
            changed: Condvar::new(),
            samples: AtomicU64::new(0),
            before: Counted::now(),
            thread: Mutex::new(None),
        });
        sys::check_timers().map_err(refused(
            "a CPU timer for this thread",
            "raise the limit of pending signals (ulimit -i), which counts timers, or allow timer_create in the seccomp profile",
        ))?;
        // What a profiler before this one left behind is not ours.
        RING.drain(&mut RawSample::empty(), |_| ());
        sys::ThreadTimers::start();
        engine.set_rate(&engine.lock());
        sys::arm_this_thread();
        let drain = Arc::clone(&engine);
        let thread = std::thread::Builder::new()
            .name("span-profiler".to_owned())
            .spawn(move || drain.run())
            .map_err(refused("a thread", "raise the limit of threads (ulimit -u)"))?;
        *engine.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(engine)
    }

    pub(super) fn stop(&self) {
        {
            let mut state = self.lock();
            self.drain_into(&mut state, &mut RawSample::empty());
            state.stopping = true;
        }
        self.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The guard is the only one that stops; a drain that panicked has nothing to finish.
        drop(thread.map(JoinHandle::join));
        sys::set_period(0);
        sys::ThreadTimers::stop();
        RUNNING.store(false, Ordering::SeqCst);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> &ProfilerBuilder {
        &self.settings
    }

    pub(super) fn with_recorder<T>(&self, ask: impl FnOnce(Option<&Recorder>) -> T) -> T {
        ask(self.lock().recorder.as_ref())
    }

    /// Sets the timers to the highest rate that somebody wants, and wakes the drain.
    pub(super) fn set_rate(&self, state: &State) {
        // Rate, timers and ring may belong to another profiler by now.
        if state.stopping {
            return;
        }
        let wanted = state.capture.as_ref().map_or(0, Running::hz).max(self.settings.recorder_hz);
        // Signals would only disturb somebody else who handles them, or end the process if nobody does.
        let period = if wanted == 0 || !owns_signal() { Duration::ZERO } else { Duration::from_secs(1) / wanted };
        sys::set_period(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX));
        if let Some(timers) = sys::timers().as_mut() {
            timers.set_period(period);
            // Threads that came since the last look belong to a profile that begins now.
            let _ = timers.scan();
        }
        self.changed.notify_all();
    }

    /// Keeps what is in the ring.
    pub(super) fn drain(&self) {
        self.drain_into(&mut self.lock(), &mut RawSample::empty());
    }

    pub(super) fn drain_into(&self, state: &mut State, sample: &mut RawSample) {
        if state.stopping {
            return;
        }
        let now = Instant::now();
        RING.drain(sample, |sample| {
            self.samples.fetch_add(sample.count, Ordering::Relaxed);
            if let Some(recorder) = &mut state.recorder {
                recorder.add(sample, now);
            }
            if let Some(capture) = &mut state.capture {
                capture.add(sample);
            }
        });
        if let Some(recorder) = &mut state.recorder {
            recorder.advance(now);
        }
    }

    /// The drain's life.
    fn run(&self) {
        let mut sample = RawSample::empty();
        let mut scanned = Instant::now();
        let mut owned = true;
        let mut state = self.lock();
        while !state.stopping {
            let busy = usize::from(state.capture.is_some());
            if busy == 0 && state.recorder.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            (state, _) = self.changed.wait_timeout(state, PAUSE[busy]).unwrap_or_else(PoisonError::into_inner);
            self.drain_into(&mut state, &mut sample);
            if scanned.elapsed() < SCAN[busy] {
                continue;
            }
            // Reading a directory takes a while: those who ask need not wait for it.
            drop(state);
            if let Some(timers) = sys::timers().as_mut() {
                // Without /proc only threads that arm themselves are seen.
                let _ = timers.scan();
            }
            scanned = Instant::now();
            state = self.lock();
            if owned != owns_signal() {
                owned = !owned;
                self.set_rate(&state);
            }
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let (threads, unarmed) = sys::timers().as_ref().map_or((0, 0), |timers| (timers.threads(), timers.failed()));
        Stats {
            samples: self.samples.load(Ordering::Relaxed),
            lost: RING.lost() - self.before.lost,
            unlabelled_spans: labels::lost() - self.before.unlabelled,
            threads,
            unarmed,
            signal_taken: !owns_signal(),
        }
    }
}

/// Whether SIGPROF is ours; takes it again if whoever had it is gone.
pub(super) fn owns_signal() -> bool {
    matches!(sys::install(), Ok(Ok(())))
}
