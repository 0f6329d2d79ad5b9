//! Profiles that know their span.

mod labels;
mod names;
mod profile;
mod sys;

pub use labels::SpanLabels;
pub use profile::{Labels, Profile, Sample, ValueType};
