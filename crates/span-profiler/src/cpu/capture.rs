//! A profile on demand.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::engine::Engine;
use super::settings::MAX_HZ;
use super::summary;
use crate::profile::{Filter, Profile};
use crate::ring::{RING, RawSample};
use crate::samples::SampleSet;
use crate::sys;

/// The most memory of one profile. A minute of 64 busy threads at 999 Hz takes less, as their stacks repeat; what
/// comes after is counted as lost.
const MAX_BYTES: usize = 64 << 20;

/// Why no profile can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Another one is taken.
    #[error("a CPU profile is being taken: wait until it is finished")]
    Busy,
    /// The profiler's guard was dropped.
    #[error("the profiler was stopped")]
    Stopped,
    /// Somebody else has installed a handler of SIGPROF since the start.
    #[error("another profiler of this process has taken SIGPROF: stop it, and start this one again")]
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
        if !sys::is_installed() {
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
        let Some(Running { samples, refused, .. }) = self.end(true) else {
            // Only `finish` and `drop` take it, and each capture ends once.
            return summary::profile(std::iter::empty(), &Filter::default(), self.hz, self.start, duration);
        };
        let mut profile = summary::profile(samples.iter(), &Filter::default(), self.hz, self.start, duration);
        let lost = RING.lost() - self.lost_before;
        if lost > 0 {
            profile.comments.push(format!("{lost} samples were lost because the drain did not keep up"));
        }
        if refused > 0 {
            profile
                .comments
                .push(format!("{refused} samples were left out because the profile grew above {MAX_BYTES} bytes"));
        }
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
