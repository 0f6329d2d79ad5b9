//! Profiles that know their span.

mod cpu;
pub mod execution;
mod labels;
mod names;
mod profile;
mod recorder;
mod ring;
mod samples;
mod sys;
#[cfg(feature = "tasks")]
pub mod tasks;
mod threads;

pub use cpu::{
    Capture, CaptureError, MAX_HZ, Profiler, ProfilerBuilder, ProfilerGuard, RecorderState, SpanShare, StartError,
    Stats, TraceSpan, thread_started,
};
pub use labels::SpanLabels;
pub use profile::{Filter, Labels, Profile, Sample, ValueType};
