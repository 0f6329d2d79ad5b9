//! `/metrics`, read from the same reader that feeds OTLP.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

use crate::exemplar::Exemplar;
use crate::exposition::{self, ExemplarLookup, Page, PointExemplars};
use crate::hub::Exemplars;
use crate::series::{MetricSeries, Metrics};

/// Renders the metrics of one reader; cheap to clone.
#[derive(Clone, Debug)]
pub struct Exposition {
    exemplars: Exemplars,
    reader: Arc<dyn MetricReader>,
}

impl Exemplars {
    /// A page over what `reader` collects: give it a clone of the one reader of the meter provider, because each
    /// further reader aggregates every record once more.
    pub fn exposition(&self, reader: impl MetricReader) -> Exposition {
        Exposition { exemplars: self.clone(), reader: Arc::new(reader) }
    }
}

impl Exposition {
    /// Collects and writes a page in the format that the `Accept` header asks for: OpenMetrics 1.0 with exemplars, or
    /// the Prometheus text format 0.0.4, which has none.
    ///
    /// Takes tens of milliseconds with ten thousand series: on an async runtime run it on a blocking thread.
    ///
    /// # Errors
    ///
    /// The reader's, when it belongs to no meter provider.
    pub fn render(&self, accept: Option<&str>) -> Result<Page, OTelSdkError> {
        let metrics = self.collect()?;
        let registry = self.exemplars.0.registry.read();
        let format = exposition::negotiate(accept);
        Ok(Page { content_type: format.content_type(), body: exposition::write(format, &metrics, &*registry) })
    }

    /// Collects what a page would be written from, for who keeps metrics inside the process. Where no metric exporter
    /// opens the exemplars' windows, this does as a scrape would.
    ///
    /// # Errors
    ///
    /// The reader's, when it belongs to no meter provider.
    pub fn collect(&self) -> Result<ResourceMetrics, OTelSdkError> {
        self.exemplars.0.advance_by_scrape();
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics)?;
        Ok(metrics)
    }
}

impl ExemplarLookup for Metrics {
    fn of_metric(&self, scope: &InstrumentationScope, metric: &str) -> Option<&dyn PointExemplars> {
        self.get(scope, metric).map(|series| series as &dyn PointExemplars)
    }
}

impl PointExemplars for MetricSeries {
    fn exemplars_of(&self, attributes: &[&KeyValue], now: SystemTime) -> Vec<Exemplar> {
        self.of_point(attributes).flat_map(|series| series.exposed(now)).collect()
    }
}
