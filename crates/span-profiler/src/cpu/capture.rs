//! A profile on demand.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::engine::{Engine, owns_signal};
use super::settings::MAX_HZ;
use super::summary;
use crate::profile::{Filter, Profile};
use crate::ring::{RING, RawSample};
use crate::samples::SampleSet;
use crate::sys;

/// The most memory of one profile while it is taken, give or take a table that doubles. A minute of 64 busy threads at
/// 999 Hz takes less unless each sample is in a span of its own; what comes after is counted, and said in the profile.
const MAX_BYTES: usize = 64 << 20;

/// Why no profile can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// Another one is taken.
    #[error("a CPU profile is being taken: wait until it is finished")]
    Busy,
    /// The profiler's guard was dropped.
    #[error("the profiler was stopped: start it again, and keep its guard as long as profiles are wanted")]
    Stopped,
    /// Somebody else has installed a handler of SIGPROF since the start.
    #[error("another profiler of this process has taken SIGPROF: stop it (for pprof-rs, drop its guard)")]
    SignalTaken,
    /// No such rate.
    #[error("{0} Hz is not from 1 to 999 Hz")]
    Rate(u32),
}

/// A profile that is being taken. Dropping it throws it away and lets the next one begin.
#[derive(Debug)]
#[must_use = "a capture that is dropped is thrown away"]
pub struct Capture {
    engine: Arc<Engine>,
    hz: u32,
    started: Instant,
    start: SystemTime,
    lost_before: u64,
    finished: bool,
}

/// The part of a capture that the drain fills.
#[derive(Debug)]
pub(super) struct Running {
    hz: u32,
    samples: SampleSet,
    refused: u64,
}

impl Running {
    pub(super) fn hz(&self) -> u32 {
        self.hz
    }

    pub(super) fn add(&mut self, sample: &RawSample) {
        if self.samples.bytes() < MAX_BYTES {
            self.samples.add(sample);
        } else {
            self.refused += sample.count;
        }
    }
}

impl Capture {
    pub(super) fn start(engine: &Arc<Engine>, hz: u32) -> Result<Self, CaptureError> {
        if !(1..=MAX_HZ).contains(&hz) {
            return Err(CaptureError::Rate(hz));
        }
        let mut state = engine.lock();
        if state.stopping {
            return Err(CaptureError::Stopped);
        }
        if state.capture.is_some() {
            return Err(CaptureError::Busy);
        }
        if !owns_signal() {
            return Err(CaptureError::SignalTaken);
        }
        // What is in the ring was before this profile.
        engine.drain_into(&mut state, &mut RawSample::empty());
        state.capture = Some(Running { hz, samples: SampleSet::default(), refused: 0 });
        engine.set_rate(&state);
        let (started, start) = (Instant::now(), SystemTime::now());
        // The timers serve the recorder too, at the higher of the two rates.
        let hz = hz.max(engine.settings().recorder_hz);
        Ok(Self { engine: Arc::clone(engine), hz, started, start, lost_before: RING.lost(), finished: false })
    }

    /// Ends the profile.
    #[must_use]
    pub fn finish(mut self) -> Profile {
        self.finished = true;
        let duration = self.started.elapsed();
        let (stopped, owned) = (self.engine.lock().stopping, owns_signal());
        let Some(Running { samples, refused, .. }) = self.end(true) else {
            // Only `finish` and `drop` take it, and each capture ends once.
            return summary::profile(std::iter::empty(), &Filter::default(), self.hz, self.start, duration);
        };
        let mut profile = summary::profile(samples.iter(), &Filter::default(), self.hz, self.start, duration);
        let lost = RING.lost() - self.lost_before;
        let unseen = sys::timers().as_ref().map_or(0, sys::ThreadTimers::failed);
        let remarks = [
            (lost > 0, format!("{lost} samples were lost because the drain did not keep up")),
            (refused > 0, format!("{refused} samples were left out because the profile grew above {MAX_BYTES} bytes")),
            (unseen > 0, format!("{unseen} threads are not in it: raise the limit of pending signals (ulimit -i)")),
            (stopped, "the profiler was stopped before the profile was finished".to_owned()),
            (!owned, "another profiler of this process took SIGPROF before the profile was finished".to_owned()),
        ];
        profile.comments.extend(remarks.into_iter().filter_map(|(said, remark)| said.then_some(remark)));
        profile
    }

    fn end(&self, keep: bool) -> Option<Running> {
        let mut state = self.engine.lock();
        if keep {
            self.engine.drain_into(&mut state, &mut RawSample::empty());
        }
        let running = state.capture.take();
        self.engine.set_rate(&state);
        running
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if !self.finished {
            self.end(false);
        }
    }
}
