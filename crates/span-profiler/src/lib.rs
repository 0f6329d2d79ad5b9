//! Profiles that know their span.

mod cpu;
#[cfg(feature = "heap")]
pub mod heap;
pub mod execution;
mod labels;
mod names;
mod profile;
mod recorder;
mod ring;
mod samples;
mod symbols;
mod sys;
#[cfg(feature = "tasks")]
pub mod tasks;
mod threads;

pub use cpu::{
    Capture, CaptureError, MAX_HZ, Profiler, ProfilerBuilder, ProfilerGuard, RecorderState, SpanShare, StartError,
    Stats, TraceSpan, thread_started,
};
pub use labels::SpanLabels;
pub use profile::{Filter, Function, Labels, Profile, Sample, Symbolized, ValueType};
