//! The page for `/metrics`: the SDK's aggregates as OpenMetrics 1.0 with exemplars, or as Prometheus text 0.0.4.
//!
//! - `negotiate`: which of the two a scraper gets
//! - `families`, `scopes`: which metrics share a name, what tells them apart, and what has to stay out
//! - `names`, `units`: the names that Prometheus derives from OTLP
//! - `labels`, `values`, `seen`: a series' labels
//! - `page`, `histograms`, `number`, `estimate`: the lines
//! - `left_out`: what the page cannot hold, and the warning of it
//!
//! A series is called the same whether Prometheus scrapes this page or receives the same metrics over OTLP, up to the
//! spelling of `le`: a scrape stores `1.0`, OTLP `1`. What a page cannot hold is left out and warned of once: delta
//! temporality, exponential histograms (neither format has a form for them, and as a bare count and sum they would look
//! like other series), a second metric of another type under one name, and a second series with the same labels.
//!
//! OpenMetrics forbids a sum that may fall, so there a histogram with a negative bound or sum has neither `_sum` nor
//! `_count`; text 0.0.4 has both. `_created` lines are not written: scrapers store each as one more series.

mod estimate;
mod families;
mod histograms;
mod labels;
mod left_out;
mod names;
mod negotiate;
mod number;
mod page;
mod scopes;
mod seen;
mod units;
mod values;

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::data::ResourceMetrics;

use crate::exemplar::Exemplar;

pub(crate) use negotiate::negotiate;

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which has no exemplars.
    Text,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// An answer to a scrape.
#[derive(Clone, Debug)]
pub struct Page {
    /// The value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The page itself, UTF-8.
    pub body: String,
}

/// Where the writer finds the exemplars of the metrics that it writes.
pub(crate) trait ExemplarLookup {
    /// `None` when no point of the metric has exemplars, so that none has to be asked for.
    fn of_metric(&self, scope: &InstrumentationScope, metric: &str) -> Option<&dyn PointExemplars>;
}

/// The exemplars of one metric.
pub(crate) trait PointExemplars {
    /// Those of the point with these attributes that may be shown at `now`.
    fn exemplars_of(&self, attributes: &[&KeyValue], now: SystemTime) -> Vec<Exemplar>;
}

/// Writes the page, and warns of what it cannot hold, once per metric and reason in the life of the process.
pub(crate) fn write(format: Format, metrics: &ResourceMetrics, exemplars: &dyn ExemplarLookup) -> String {
    let (body, left_out) = page::render(format, metrics, exemplars);
    left_out::report(&left_out);
    body
}
