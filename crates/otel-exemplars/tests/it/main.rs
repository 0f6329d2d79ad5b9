//! `otel-exemplars` against a receiver that really speaks OTLP, over both protocols.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as tests")]

mod context;
mod listener;
mod points;
mod promise;
mod rig;
mod scrape;
mod window;
mod wire;
