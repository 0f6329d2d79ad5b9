//! Asks the backends whether every exemplar resolves: Prometheus for the exemplars, the trace store for their traces.
//!
//! - [`ask`] is the bounded HTTP client under both;
//! - [`prometheus`] finds the exemplars of a service with the bucket each one claims to be in;
//! - [`store`] knows Tempo and Jaeger, [`trace`] reads what they answer;
//! - [`check`] judges one exemplar by its trace, [`resolve`] does so for all of them, the young ones more than once;
//! - [`report`] counts and prints; [`gauge`] tells the last round to a collector.

pub mod ask;
pub mod check;
pub mod gauge;
pub mod prometheus;
pub mod report;
pub mod resolve;
pub mod store;
pub mod trace;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ask::{AskError, Client};
use prometheus::Prometheus;
use report::Report;
use resolve::Patience;
use store::Choice;

/// Where to ask, for what, and how patiently.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address of Prometheus.
    pub prometheus_url: String,
    /// Which trace store, and where.
    pub store: Choice,
    /// Label matchers that select the service's series, without braces.
    pub selector: String,
    /// The time range of the exemplars.
    pub range: Range,
    /// When an exemplar that does not resolve is given up.
    pub patience: Patience,
    /// Longest time of one question.
    pub timeout: Duration,
}

/// A time range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// The time before now.
    Last(Duration),
    /// From one moment to another.
    Between(SystemTime, SystemTime),
}

impl Range {
    /// The range as seconds since 1970.
    #[must_use]
    pub fn seconds(self, now: SystemTime) -> (f64, f64) {
        let (start, end) = match self {
            Self::Last(duration) => (now - duration, now),
            Self::Between(start, end) => (start, end),
        };
        (seconds(start), seconds(end))
    }
}

/// Checks every exemplar once, waiting for the young ones.
///
/// # Errors
/// When Prometheus cannot be asked, or no trace store answers.
pub async fn round(settings: &Settings) -> Result<Report, AskError> {
    let client = Client::new(settings.timeout)?;
    let store = store::find(&client, &settings.store).await?;
    let prometheus = Prometheus::new(&client, &settings.prometheus_url, &settings.selector);
    let (start, end) = settings.range.seconds(SystemTime::now());
    let found = prometheus.exemplars(start, end).await?;
    let name = store.name();
    let verdicts = resolve::resolve(&Arc::new(store), found.exemplars, settings.patience).await;
    Ok(Report::new(name, &settings.selector, (start, end), found.metrics, verdicts))
}

/// Seconds since 1970; moments before that count as 1970.
fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
