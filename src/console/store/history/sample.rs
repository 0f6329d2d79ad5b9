//! Takes in what the reader of the metrics has collected.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric as SdkMetric, MetricData, ResourceMetrics, ScopeMetrics,
};

use super::series::{SERIES_BYTES, Series};
use super::{Inner, MAX_SERIES, Metric, MetricKind};
use crate::console::store::SeriesName;

/// Takes in a collection; series may take `for_series` bytes without their points.
pub(super) fn sample(inner: &mut Inner, metrics: &ResourceMetrics, unix_ns: u64, for_series: usize) {
    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        let mut to = Target { inner, metric, for_series };
        /// Whatever the type of the numbers is.
        macro_rules! take {
            ($data:expr, $number:expr) => {
                match $data {
                    MetricData::Histogram(data) => data.data_points().for_each(|point| {
                        let bounds = || point.bounds().collect();
                        to.add(MetricKind::Histogram, bounds, point.attributes(), |series| {
                            series.add_histogram(unix_ns, point.bucket_counts(), $number(point.sum()))
                        });
                    }),
                    MetricData::Sum(data) if data.is_monotonic() => data.data_points().for_each(|point| {
                        let value = $number(point.value());
                        let add = |series: &mut Series| series.add_counter(unix_ns, value);
                        to.add(MetricKind::Counter, Vec::new, point.attributes(), add);
                    }),
                    MetricData::Sum(data) => data.data_points().for_each(|point| {
                        let value = $number(point.value());
                        let add = |series: &mut Series| series.add_gauge(unix_ns, value);
                        to.add(MetricKind::Gauge, Vec::new, point.attributes(), add);
                    }),
                    MetricData::Gauge(data) => data.data_points().for_each(|point| {
                        let value = $number(point.value());
                        let add = |series: &mut Series| series.add_gauge(unix_ns, value);
                        to.add(MetricKind::Gauge, Vec::new, point.attributes(), add);
                    }),
                    // Nothing here makes one.
                    MetricData::ExponentialHistogram(_) => {}
                }
            };
        }
        match metric.data() {
            AggregatedMetrics::F64(data) => take!(data, std::convert::identity),
            AggregatedMetrics::U64(data) => take!(data, |value| value as f64),
            AggregatedMetrics::I64(data) => take!(data, |value| value as f64),
        }
    }
}

struct Target<'a> {
    inner: &'a mut Inner,
    metric: &'a SdkMetric,
    for_series: usize,
}

impl Target<'_> {
    /// Runs `add` on the series with these attributes, which returns the bytes that it takes more. Without room for a new
    /// series it is left out.
    fn add<'a>(
        &mut self,
        kind: MetricKind,
        bounds: impl FnOnce() -> Vec<f64>,
        attributes: impl Iterator<Item = &'a KeyValue>,
        add: impl FnOnce(&mut Series) -> usize,
    ) {
        let Inner { metrics, bytes, series: count, left_out, .. } = &mut *self.inner;
        let sdk = self.metric;
        if !metrics.contains_key(sdk.name()) {
            let metric = Metric {
                kind,
                unit: sdk.unit().to_owned(),
                description: sdk.description().to_owned(),
                bounds: bounds().into(),
                series: BTreeMap::new(),
            };
            metrics.insert(sdk.name().to_owned(), metric);
        }
        let Some(metric) = metrics.get_mut(sdk.name()).filter(|metric| metric.kind == kind) else { return };
        let name = SeriesName::new(sdk.name(), attributes);
        let new = SERIES_BYTES + name.bytes() + size_of::<u64>() * (metric.bounds.len() + 1);
        let known = metric.series.contains_key(&name.attributes);
        if !known && (*count >= MAX_SERIES || *count * new > self.for_series) {
            *left_out += 1;
            return;
        }
        if !known {
            *count += 1;
            *bytes += new;
        }
        *bytes += add(metric.series.entry(name.attributes).or_default());
    }
}
