//! Profiles that know their span.

mod labels;
mod names;
mod profile;
mod symbols;
mod sys;

pub use labels::SpanLabels;
pub use profile::{Filter, Function, Labels, Profile, Sample, Symbolized, ValueType};
