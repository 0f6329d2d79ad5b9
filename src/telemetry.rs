//! Spans, metrics and logs: what they are made with, where they go, and how they stop.
//!
//! - [`resource`] says who speaks;
//! - [`traces`] builds the span pipeline, [`metrics`] the instruments and their one reader, [`process`] the instruments
//!   of the process itself, [`runtime`] and [`allocator`] those of tokio and of jemalloc, [`profiler`] those of the profiler,
//!   [`worker`] those of a worker, [`websocket`] those of the game, [`observe`] those that other rooms are asked for;
//! - [`recent`] remembers the last requests, [`tap`] lets the rooms above keep more;
//! - [`export`] watches the exports and says once when they fail and once when they work again;
//! - [`logs`] writes the lines;
//! - [`guard`] stops all of it in the right order.

pub mod allocator;
pub mod export;
pub mod guard;
pub mod logs;
pub mod metrics;
pub mod observe;
pub mod process;
pub mod profiler;
pub mod recent;
pub mod resource;
pub mod runtime;
mod shared;
pub mod tap;
pub mod traces;
pub mod websocket;
pub mod worker;

use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use otel_exemplars::{Exemplars, Exposition};

pub use export::{ExportHealth, ExportState};
pub use guard::{Guard, Stopped};
pub use metrics::Instruments;
pub use tap::Tap;
pub use worker::WorkerInstruments;

use crate::config::Config;
use crate::error::StartError;
use crate::names;
use recent::RecentTraces;

/// What the rooms above record with.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The instruments.
    pub instruments: Arc<Instruments>,
    /// The page behind `/metrics`; none when the SDK is disabled.
    pub exposition: Option<Exposition>,
    /// Whether exports succeed.
    pub health: Arc<ExportHealth>,
    /// Makes the spans; none when the SDK is disabled.
    pub tracer: Option<SdkTracer>,
    /// The last requests.
    pub recent: Arc<RecentTraces>,
}

/// Builds the pipelines of the configuration; nothing is installed globally.
///
/// # Errors
/// When an exporter or its thread cannot be built.
///
/// # Panics
/// Outside of a tokio runtime, which gRPC exporters need for their channel.
pub fn start(config: &Config) -> Result<(Telemetry, Guard), StartError> {
    start_with(config, None)
}

/// The same with somebody who hears of spans and exemplars.
///
/// # Errors
/// As [`start`].
///
/// # Panics
/// As [`start`].
pub fn start_with(config: &Config, tap: Option<Arc<dyn Tap>>) -> Result<(Telemetry, Guard), StartError> {
    let mut exemplars = Exemplars::builder()
        .with_enabled(config.exemplars && !config.otel.disabled)
        .with_decision_wait(config.tail_sampling.decision_wait)
        .with_max_trace_duration(config.request_timeout);
    if let Some(tap) = &tap {
        let tap = Arc::clone(tap);
        exemplars = exemplars.with_listener(move |picked| tap.picked(picked));
    }
    let exemplars = exemplars.build().map_err(telemetry_error("the exemplars"))?;
    let health = Arc::new(ExportHealth::new(config));
    let recent = Arc::new(RecentTraces::default());
    if config.otel.disabled {
        let meters = metrics::disabled();
        let instruments = Arc::new(Instruments::new(&exemplars, &meters));
        let telemetry = Telemetry { instruments, exposition: None, health, tracer: None, recent };
        return Ok((telemetry, Guard::new(None, meters, exemplars)));
    }
    let resource = resource::resource(&config.otel);
    let tracers = traces::provider(config, &exemplars, resource.clone(), &health, tap)?;
    let (meters, exposition) = metrics::provider(config, &exemplars, resource, &health)?;
    let instruments = Arc::new(Instruments::new(&exemplars, &meters));
    exemplars.register_metrics(instruments.meter());
    process::register(instruments.meter());
    allocator::register(&instruments);
    runtime::register(&instruments);
    let tracer = tracers.tracer(names::SCOPE);
    let telemetry = Telemetry { instruments, exposition: Some(exposition), health, tracer: Some(tracer), recent };
    Ok((telemetry, Guard::new(Some(tracers), meters, exemplars)))
}

/// Turns a library's error into one that says which part failed.
fn telemetry_error<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> StartError {
    move |source| StartError::Telemetry { what, source: Box::new(source) }
}
