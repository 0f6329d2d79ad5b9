//! Puts acknowledged exemplars into the data points of an OTLP request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar as OtlpExemplar, exemplar, metric};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};

use crate::exemplar::Exemplar;
use crate::room::Picked;
use crate::series::{Metrics, Series};

/// What became of the exemplars that were to leave with a request.
#[derive(Debug, Default)]
pub(crate) struct Shipment {
    /// Stand in the request.
    pub(crate) loaded: Vec<Picked>,
    /// Are newer than the data points, which may not have counted them: they go with the next request.
    pub(crate) early: Vec<Picked>,
    /// Found no data point.
    pub(crate) homeless: Vec<Picked>,
}

/// Loads `ready` into `request`, which was made from `metrics` and has their order.
pub(crate) fn load(
    registry: &Metrics,
    metrics: &ResourceMetrics,
    request: &mut ExportMetricsServiceRequest,
    ready: Vec<Picked>,
) -> Shipment {
    let mut shipment = Shipment::default();
    if ready.is_empty() {
        return shipment;
    }
    let mut of_series: HashMap<*const Series, Vec<Picked>> = HashMap::new();
    for picked in ready {
        of_series.entry(Arc::as_ptr(&picked.series)).or_default().push(picked);
    }
    let mut collected = None;
    let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    for (scope, otlp_scope) in metrics.scope_metrics().zip(scopes) {
        for (metric, otlp_metric) in scope.metrics().zip(&mut otlp_scope.metrics) {
            let Some(time) = time_of(metric) else { continue };
            collected = collected.min(Some(time)).or(Some(time));
            if of_series.is_empty() {
                break;
            }
            let Some(known) = registry.get(scope.scope(), metric.name()) else { continue };
            let Some(data) = &mut otlp_metric.data else { continue };
            let mut points = exemplars_of(data);
            for_each_point(metric, |attributes| {
                let Some((bounds, exemplars)) = points.next() else { return };
                // An SDK that fills exemplars itself has chosen its own.
                if !exemplars.is_empty() {
                    return;
                }
                for series in known.of_point(attributes) {
                    for picked in of_series.remove(&Arc::as_ptr(series)).unwrap_or_default() {
                        if picked.exemplar.time > time {
                            shipment.early.push(picked);
                        } else {
                            exemplars.push(otlp(&picked.exemplar, &series.attributes, attributes));
                            shipment.loaded.push(picked);
                        }
                    }
                }
                exemplars.sort_by_key(|exemplar| order(bounds, exemplar));
            });
        }
    }
    for picked in of_series.into_values().flatten() {
        let newer = collected.is_none_or(|collected| picked.exemplar.time > collected);
        if newer { shipment.early.push(picked) } else { shipment.homeless.push(picked) }
    }
    shipment
}

/// Runs `$body` on the typed data of a metric, whatever its number type.
macro_rules! with_data {
    ($metric:expr, $data:ident => $body:expr) => {
        match $metric.data() {
            AggregatedMetrics::F64($data) => $body,
            AggregatedMetrics::U64($data) => $body,
            AggregatedMetrics::I64($data) => $body,
        }
    };
}

/// When the points of a metric that can carry exemplars were collected; gauges cannot.
fn time_of(metric: &Metric) -> Option<SystemTime> {
    with_data!(metric, data => match data {
        MetricData::Histogram(histogram) => Some(histogram.time()),
        MetricData::ExponentialHistogram(histogram) => Some(histogram.time()),
        MetricData::Sum(sum) => Some(sum.time()),
        MetricData::Gauge(_) => None,
    })
}

/// Calls `visit` with the attributes of each data point.
fn for_each_point(metric: &Metric, mut visit: impl FnMut(&[&KeyValue])) {
    /// Fills one buffer again and again.
    macro_rules! each {
        ($data:expr) => {{
            let mut attributes = Vec::new();
            for point in $data.data_points() {
                attributes.clear();
                attributes.extend(point.attributes());
                visit(&attributes);
            }
        }};
    }
    with_data!(metric, data => match data {
        MetricData::Histogram(histogram) => each!(histogram),
        MetricData::ExponentialHistogram(histogram) => each!(histogram),
        MetricData::Sum(sum) => each!(sum),
        MetricData::Gauge(_) => {}
    });
}

/// The explicit bounds and the exemplars of each data point; points without buckets have no bounds.
fn exemplars_of(data: &mut metric::Data) -> Box<dyn Iterator<Item = (&[f64], &mut Vec<OtlpExemplar>)> + '_> {
    match data {
        metric::Data::Histogram(data) => {
            Box::new(data.data_points.iter_mut().map(|point| (&point.explicit_bounds[..], &mut point.exemplars)))
        }
        metric::Data::Sum(data) => Box::new(data.data_points.iter_mut().map(|point| (&[][..], &mut point.exemplars))),
        metric::Data::ExponentialHistogram(data) => {
            Box::new(data.data_points.iter_mut().map(|point| (&[][..], &mut point.exemplars)))
        }
        metric::Data::Gauge(_) | metric::Data::Summary(_) => Box::new(std::iter::empty()),
    }
}

/// The order that Prometheus needs. It hands a histogram's exemplars out to the bucket series in one walk up the
/// buckets, and within a series wants them in order of time; without buckets there is one series.
fn order(bounds: &[f64], exemplar: &OtlpExemplar) -> (usize, u64) {
    let value = if let Some(exemplar::Value::AsDouble(value)) = exemplar.value { value } else { f64::NAN };
    (bounds.partition_point(|bound| *bound < value), exemplar.time_unix_nano)
}

/// The exemplar on the wire; attributes that a view took from the point go with it, as the specification asks
/// (metrics data model, "Exemplars").
fn otlp(exemplar: &Exemplar, recorded: &[KeyValue], of_point: &[&KeyValue]) -> OtlpExemplar {
    let filtered = recorded
        .iter()
        .filter(|attribute| recorded.len() != of_point.len() && !of_point.iter().any(|kept| kept.key == attribute.key));
    OtlpExemplar {
        filtered_attributes: filtered.map(Into::into).collect(),
        time_unix_nano: nanos(exemplar.time),
        span_id: exemplar.span_id.to_bytes().to_vec(),
        trace_id: exemplar.trace_id.to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
