//! What the profiler is started with, and why it may not start.

use std::io;
use std::time::Duration;

use super::engine::Engine;
use super::{Profiler, ProfilerGuard};

/// The highest rate: above it a signal would come at every tick of any kernel.
pub const MAX_HZ: u32 = 999;

/// The recorder's shortest window: its segments would become shorter than the pause between two drains.
const MIN_WINDOW: Duration = Duration::from_secs(10);

/// The recorder's least memory: one segment of a busy machine.
const MIN_BYTES: usize = 1 << 20;

/// Settings of the profiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfilerBuilder {
    pub(super) recorder_hz: u32,
    pub(super) recorder_window: Duration,
    pub(super) recorder_bytes: usize,
}

impl Default for ProfilerBuilder {
    fn default() -> Self {
        // Not 100, which would keep step with what a program does every 10 ms.
        Self { recorder_hz: 99, recorder_window: Duration::from_secs(600), recorder_bytes: 16 << 20 }
    }
}

/// Why the profiler did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This is no Linux on x86-64 or aarch64.
    #[error("CPU profiles need Linux on x86-64 or aarch64")]
    Unsupported,
    /// A profiler runs already in this process.
    #[error("a profiler runs already in this process, and SIGPROF has only one owner: use that one")]
    AlreadyRunning,
    /// Another handler of SIGPROF is installed.
    #[error("another profiler of this process handles SIGPROF: stop it first (for pprof-rs, drop its guard)")]
    ForeignHandler,
    /// The program was built without frame pointers.
    #[error(
        "this program was built without frame pointers: build it with -C force-frame-pointers=yes; \
         RUSTFLAGS in the environment replaces the flags of .cargo/config.toml"
    )]
    NoFramePointers,
    /// The settings make no sense.
    #[error("{what} is {value}, which is not {rule}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// The system refuses a timer, a handler or a thread.
    #[error("the system refuses {what}: {fix}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What can be done.
        fix: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ProfilerBuilder {
    /// Samples of the always-on recorder for each second of a thread's CPU time, up to [`MAX_HZ`], or 0 for no recorder. 99
    /// unless set.
    #[must_use]
    pub fn with_recorder_hz(mut self, hz: u32) -> Self {
        self.recorder_hz = hz;
        self
    }

    /// How long the recorder keeps samples, at least 10 s. Ten minutes unless set.
    #[must_use]
    pub fn with_recorder_window(mut self, window: Duration) -> Self {
        self.recorder_window = window;
        self
    }

    /// The most memory of the recorder, at least 1 MiB; when it is used up, older samples go. 16 MiB unless set: ten
    /// minutes of two busy threads whose every sample lies in another span take about half of it.
    #[must_use]
    pub fn with_recorder_bytes(mut self, bytes: usize) -> Self {
        self.recorder_bytes = bytes;
        self
    }

    /// Starts the profiler of this process.
    ///
    /// # Errors
    /// When there is one, when a setting makes no sense, or when no samples could come.
    pub fn start(self) -> Result<(Profiler, ProfilerGuard), StartError> {
        let setting = |what, value: String, rule| Err(StartError::Setting { what, value, rule });
        if self.recorder_hz > MAX_HZ {
            return setting("the recorder's rate", format!("{} Hz", self.recorder_hz), "from 0 to 999 Hz");
        }
        if self.recorder_window < MIN_WINDOW {
            return setting("the recorder's window", format!("{:?}", self.recorder_window), "10 s or more");
        }
        if self.recorder_bytes < MIN_BYTES {
            return setting("the recorder's memory", format!("{} bytes", self.recorder_bytes), "1048576 bytes or more");
        }
        let engine = Engine::start(self)?;
        Ok((Profiler { engine: engine.clone() }, ProfilerGuard { engine }))
    }
}
