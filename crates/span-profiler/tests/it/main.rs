//! The profiler from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cpu;
mod harsh;
mod readme;
mod refusals;
mod rig;
