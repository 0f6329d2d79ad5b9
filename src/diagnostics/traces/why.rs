//! Why a trace has no samples.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::duration;
use crate::diagnostics::App;

/// The reason, and what is known of the trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(in crate::diagnostics) enum Why {
    /// Nothing is recorded.
    RecorderOff,
    /// It ended before the recorder's oldest sample.
    TooOld {
        /// The name of its first span here.
        name: String,
        /// How long ago it ended, in seconds.
        ago_s: u64,
        /// How far back the recorder reaches, in seconds.
        reach_s: u64,
    },
    /// It was over, or waited, between two samples.
    TooShort {
        /// The name of its first span here.
        name: String,
        /// How long it took, in microseconds.
        took_us: u64,
        /// Samples per second of CPU time.
        hz: u32,
        /// Whether the trace store has it.
        sampled: bool,
    },
    /// It is not one of the last requests here.
    Unknown,
}

impl Why {
    /// What this process can say about a trace without samples.
    pub(in crate::diagnostics) fn of(app: &App, trace_id: u128) -> Self {
        let Ok(recorder) = app.sources.recorder() else { return Self::RecorderOff };
        let Some(trace) = app.recent.find(trace_id) else { return Self::Unknown };
        let name = trace.name.to_string();
        let reach = recorder.covered;
        let ago = SystemTime::now().duration_since(trace.ended).unwrap_or_default();
        if ago > reach {
            return Self::TooOld { name, ago_s: ago.as_secs(), reach_s: reach.as_secs() };
        }
        let took_us = u64::try_from(trace.duration.as_micros()).unwrap_or(u64::MAX);
        Self::TooShort { name, took_us, hz: recorder.hz, sampled: trace.sampled }
    }

    /// The name of the trace's first span here, where it is known.
    pub(in crate::diagnostics) fn name(&self) -> Option<&str> {
        match self {
            Self::TooOld { name, .. } | Self::TooShort { name, .. } => Some(name),
            Self::RecorderOff | Self::Unknown => None,
        }
    }

    /// How much it says: the answer of who knows the trace counts.
    pub(in crate::diagnostics) fn rank(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::RecorderOff => 1,
            Self::TooOld { .. } => 2,
            Self::TooShort { .. } => 3,
        }
    }

    /// The reason in a sentence or two.
    pub(in crate::diagnostics) fn text(&self) -> String {
        match self {
            Self::RecorderOff => {
                "The recorder is off, so nothing of the past is known: set PHASELAB_PROFILER_HZ, for example to 99."
                    .to_owned()
            }
            Self::TooOld { name, ago_s, reach_s } => format!(
                "{name} ended {} ago, and the recorder reaches back {}: PHASELAB_PROFILER_WINDOW and \
                 PHASELAB_PROFILER_BYTES bound it.",
                seconds(*ago_s),
                seconds(*reach_s)
            ),
            Self::TooShort { name, took_us, hz, sampled } => {
                let every = 1_000.0 / f64::from((*hz).max(1));
                let took = Duration::from_micros(*took_us);
                let kept = if *sampled { "" } else { " The trace was not sampled either, so no trace store has it." };
                format!(
                    "{name} took {took:?}, and no sample fell into it: at {hz} Hz there is one every {every:.1} ms of \
                     CPU time, and time spent waiting has none.{kept}"
                )
            }
            Self::Unknown => "No process that was asked knows this trace: its id may be mistyped, its request still \
                              running or older than the last ones that are remembered, or it was served by a process \
                              that PHASELAB_DIAGNOSTICS_PEERS does not name."
                .to_owned(),
        }
    }
}

fn seconds(seconds: u64) -> String {
    duration::format(Duration::from_secs(seconds))
}
