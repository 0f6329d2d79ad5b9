//! Metrics out of the real SDK, as its types cannot be built by hand, and exemplars that a test sets.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, MeterProviderBuilder, Pipeline, SdkMeterProvider, Temporality,
};

use crate::exemplar::Exemplar;
use crate::exposition::left_out::{LeftOut, Reason};
use crate::exposition::{ExemplarLookup, Format, PointExemplars, page};

#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// What the SDK collects after `record`, under an empty resource.
pub(super) fn collect(record: impl FnOnce(&SdkMeterProvider)) -> ResourceMetrics {
    collect_with(Temporality::Cumulative, |builder| builder.with_resource(Resource::builder_empty().build()), record)
}

pub(super) fn collect_with(
    temporality: Temporality,
    configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
    record: impl FnOnce(&SdkMeterProvider),
) -> ResourceMetrics {
    let reader = Reader(Arc::new(ManualReader::builder().with_temporality(temporality).build()));
    let provider = configure(SdkMeterProvider::builder().with_reader(reader.clone())).build();
    record(&provider);
    let mut metrics = ResourceMetrics::default();
    reader.collect(&mut metrics).unwrap();
    metrics
}

/// The exemplars of every point of a metric, by the metric's name.
#[derive(Default)]
pub(super) struct Fake(pub(super) HashMap<String, Vec<Exemplar>>);

impl Fake {
    pub(super) fn of(metric: &str, values: &[f64]) -> Self {
        Self([(metric.to_owned(), values.iter().map(|value| exemplar(*value, 7)).collect())].into())
    }
}

impl ExemplarLookup for Fake {
    fn of_metric(&self, _: &InstrumentationScope, metric: &str) -> Option<&dyn PointExemplars> {
        self.0.get(metric).map(|exemplars| exemplars as &dyn PointExemplars)
    }
}

impl PointExemplars for Vec<Exemplar> {
    fn exemplars_of(&self, _: &[&KeyValue], _: SystemTime) -> Vec<Exemplar> {
        self.clone()
    }
}

/// An exemplar of span `id`, recorded that many milliseconds after 2023-11-14T22:13:20Z.
pub(super) fn exemplar(value: f64, id: u64) -> Exemplar {
    Exemplar {
        value,
        time: UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(id),
        trace_id: TraceId::from_bytes(u128::from(id).to_be_bytes()),
        span_id: SpanId::from_bytes(id.to_be_bytes()),
    }
}

/// The page, and why something is not on it.
pub(super) fn write(format: Format, metrics: &ResourceMetrics, exemplars: &Fake) -> (String, Vec<LeftOut>) {
    page::render(format, metrics, exemplars)
}

/// An OpenMetrics page without exemplars, with nothing left out.
pub(super) fn open_metrics(metrics: &ResourceMetrics) -> String {
    let (page, left_out) = write(Format::OpenMetrics, metrics, &Fake::default());
    assert_eq!(left_out, []);
    page
}

/// A text page, with nothing left out.
pub(super) fn text(metrics: &ResourceMetrics) -> String {
    let (page, left_out) = write(Format::Text, metrics, &Fake::default());
    assert_eq!(left_out, []);
    page
}

pub(super) fn left_out(metric: &str, reason: Reason) -> LeftOut {
    LeftOut { metric: metric.to_owned(), reason }
}
