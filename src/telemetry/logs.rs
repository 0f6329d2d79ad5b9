//! Log lines on standard output, and the gate that decides which spans and events exist.
//!
//! One gate for all layers costs less per span than a filter per layer: spans of this service always pass, so that
//! `PHASELAB_LOG` never hides one from the export, and spans of libraries never do, because an exporter that traced
//! itself would export without end. Events pass by the directives.

mod line;
mod quiet;

use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracer;
use span_profiler::SpanLabels;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

pub use line::{Format, LogLayer};

use crate::config::Config;
use crate::error::StartError;

/// Targets of this service start with this.
const OURS: &str = "phaselab";

/// Libraries that would drown the service's own lines; they log from `warn` on unless a directive names them.
const QUIET: [&str; 7] = ["h2", "hyper", "opentelemetry", "reqwest", "sqlx", "tonic", "tower"];

/// Installs the subscriber of this process.
///
/// # Errors
/// When there is one already.
pub fn install(config: &Config, tracer: Option<SdkTracer>) -> Result<(), StartError> {
    let format = if std::io::stdout().is_terminal() { Format::Pretty } else { Format::Json };
    let labels = config.diagnostics.is_some();
    let subscriber = subscriber(&config.log, tracer, labels, LogLayer::new(format, std::io::stdout));
    tracing::subscriber::set_global_default(subscriber).map_err(|error| StartError::Subscriber(Box::new(error)))
}

/// The gate, the bridge to OpenTelemetry spans, the labels of the profiler, and a layer that writes lines.
pub fn subscriber<L>(
    directives: &str,
    tracer: Option<SdkTracer>,
    labels: bool,
    lines: L,
) -> impl Subscriber + Send + Sync + 'static
where
    L: Layer<Spans> + Send + Sync + 'static,
{
    let gate = Gate { events: targets(directives), spans: tracer.is_some() || labels };
    // Where a span was made says nothing about a request, and each attribute costs an allocation.
    let bridge = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
    });
    // Above the bridge: it reads the ids of a span that the bridge has made current.
    let labels = labels.then(SpanLabels::new);
    Registry::default().with(bridge).with(labels).with(gate).with(lines)
}

/// What the layers above the span bridge sit on.
pub type Spans = tracing_subscriber::layer::Layered<Gate, Labelled>;
type Labelled = tracing_subscriber::layer::Layered<Option<SpanLabels>, Bridged>;
type Bridged = tracing_subscriber::layer::Layered<
    Option<tracing_opentelemetry::OpenTelemetryLayer<Registry, SdkTracer>>,
    Registry,
>;

/// The directives, with the noisy libraries turned down.
fn targets(directives: &str) -> Targets {
    // The configuration has checked them; a caller that has not gets the default.
    let given: Targets = directives.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let named: Vec<_> = given.iter().map(|(target, _)| target.to_owned()).collect();
    let default = given.default_level().unwrap_or(LevelFilter::OFF);
    QUIET
        .into_iter()
        .filter(|quiet| !named.iter().any(|target| target.starts_with(quiet)))
        .fold(given, |targets, quiet| targets.with_target(quiet, default.min(LevelFilter::WARN)))
}

/// Lets spans of this service and chosen events pass.
#[derive(Debug)]
pub struct Gate {
    events: Targets,
    spans: bool,
}

impl Gate {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            self.spans && metadata.target().starts_with(OURS)
        } else {
            self.events.would_enable(metadata.target(), metadata.level())
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let events = self.events.iter().map(|(_, level)| level).chain(self.events.default_level()).max();
        let spans = if self.spans { LevelFilter::from_level(Level::INFO) } else { LevelFilter::OFF };
        Some(events.unwrap_or(LevelFilter::OFF).max(spans))
    }
}

#[cfg(test)]
mod tests;
