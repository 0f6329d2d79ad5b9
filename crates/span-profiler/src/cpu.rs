//! CPU profiles: the profiler of the process, its always-on recorder, and captures.

mod capture;
mod engine;
mod settings;
mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use capture::{Capture, CaptureError};
pub use settings::{MAX_HZ, ProfilerBuilder, StartError};
pub use summary::{SpanShare, TraceSpan};

use crate::profile::{Filter, Profile};
use crate::recorder::Snapshot;
use engine::Engine;

/// The CPU profiler of this process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Profiler {
    engine: Arc<Engine>,
}

/// Stops the profiler when dropped. Its handler of SIGPROF stays and does nothing.
#[derive(Debug)]
#[must_use = "the profiler stops when its guard is dropped"]
pub struct ProfilerGuard {
    engine: Arc<Engine>,
}

/// What the always-on recorder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderState {
    /// Samples for each second of a thread's CPU time.
    pub hz: u32,
    /// How long samples are kept when there is memory for them.
    pub window: Duration,
    /// Since when everything is kept.
    pub oldest: SystemTime,
    /// How long ago that is.
    pub covered: Duration,
    /// Memory in use, in bytes.
    pub bytes: usize,
    /// The most memory that is used, in bytes.
    pub bytes_limit: usize,
}

/// What the profiler has counted since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Samples that were kept; one stands for one expiry of a thread's timer.
    pub samples: u64,
    /// Samples that were lost because the drain did not keep up.
    pub lost: u64,
    /// Spans that found no room in the table of labels, or in the 64 places of a thread.
    pub unlabelled_spans: u64,
    /// Threads that are sampled now.
    pub threads: usize,
    /// Threads that could not be given a timer, so that nothing is seen of them: the limit of pending signals
    /// (`ulimit -i`) is used up.
    pub unarmed: usize,
    /// Whether somebody else has taken SIGPROF since the start, so that no samples come.
    pub signal_taken: bool,
}

impl Profiler {
    /// Settings to start with.
    #[must_use]
    pub fn builder() -> ProfilerBuilder {
        ProfilerBuilder::default()
    }

    /// Begins a profile with `hz` samples for each second of a thread's CPU time, from 1 to [`MAX_HZ`]. The kernel's
    /// tick limits how many signals come (250 a second on many systems); each then stands for several samples.
    ///
    /// # Errors
    /// While another one is taken, or when no samples could come.
    pub fn capture(&self, hz: u32) -> Result<Capture, CaptureError> {
        Capture::start(&self.engine, hz)
    }

    /// What the always-on recorder has seen of what the filter names; empty when it is off.
    #[must_use]
    pub fn recorded(&self, filter: &Filter) -> Profile {
        let seen = self.seen(filter.since);
        let hz = self.engine.settings().recorder_hz;
        let start = SystemTime::now().checked_sub(seen.covered).unwrap_or(SystemTime::UNIX_EPOCH);
        summary::profile(seen.iter(), filter, hz, start, seen.covered)
    }

    /// CPU time by span name in the recorder, the most first; the empty name is what ran outside of any span.
    #[must_use]
    pub fn spans(&self, since: Option<Duration>) -> Vec<SpanShare> {
        summary::by_name(self.seen(since).iter())
    }

    /// CPU time by span of one trace in the recorder, the most first.
    #[must_use]
    pub fn spans_of(&self, trace_id: u128) -> Vec<TraceSpan> {
        summary::by_span(self.seen(None).iter(), trace_id)
    }

    /// What the recorder holds now; summing it up keeps nobody from adding to it.
    fn seen(&self, since: Option<Duration>) -> Snapshot {
        self.engine.drain();
        self.engine.with_recorder(|recorder| {
            recorder.map(|recorder| recorder.snapshot(since, Instant::now())).unwrap_or_default()
        })
    }

    /// The recorder, unless it is off.
    #[must_use]
    pub fn recorder(&self) -> Option<RecorderState> {
        let settings = self.engine.settings();
        let now = Instant::now();
        self.engine.with_recorder(|recorder| {
            let recorder = recorder?;
            let (oldest, covered) = recorder.oldest(now);
            Some(RecorderState {
                hz: settings.recorder_hz,
                window: settings.recorder_window,
                oldest,
                covered: covered.min(settings.recorder_window),
                bytes: recorder.bytes(),
                bytes_limit: recorder.limit(),
            })
        })
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
}

impl Drop for ProfilerGuard {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

/// Lets the profiler see this thread from its first instruction on, for example from tokio's `on_thread_start`. Without it
/// a thread is found when it first enters a span, or by the next scan within 100 ms.
pub fn thread_started() {
    crate::sys::arm_this_thread();
}
