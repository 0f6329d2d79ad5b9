//! How long a page will be: one allocation instead of copying a page of megabytes with every doubling.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};

use super::families::Family;

/// About the length in bytes, taking each metric's first point for all of them.
pub(super) fn page_len(families: &[Family<'_>]) -> usize {
    const TARGET_AND_END: usize = 1024;
    families.iter().map(family_len).sum::<usize>() + TARGET_AND_END
}

fn family_len(family: &Family<'_>) -> usize {
    let lines_len = |metric: &AggregatedMetrics| match metric {
        AggregatedMetrics::F64(data) => data_len(data, &family.name),
        AggregatedMetrics::U64(data) => data_len(data, &family.name),
        AggregatedMetrics::I64(data) => data_len(data, &family.name),
    };
    let head = 3 * (family.name.len() + 32) + family.help.len();
    head + family.members.iter().map(|member| lines_len(member.metric.data())).sum::<usize>()
}

fn data_len<T>(data: &MetricData<T>, name: &str) -> usize {
    /// Braces, a bucket's suffix and label, and the value.
    const REST: usize = 40;
    let (points, lines, labels) = match data {
        MetricData::Gauge(gauge) => {
            (gauge.data_points().count(), 1, gauge.data_points().next().map_or(0, |p| labels_len(p.attributes())))
        }
        MetricData::Sum(sum) => {
            (sum.data_points().count(), 1, sum.data_points().next().map_or(0, |p| labels_len(p.attributes())))
        }
        MetricData::Histogram(histogram) => {
            let first = histogram.data_points().next();
            let lines = first.map_or(0, |point| point.bounds().count() + 3);
            (histogram.data_points().count(), lines, first.map_or(0, |point| labels_len(point.attributes())))
        }
        MetricData::ExponentialHistogram(_) => (0, 0, 0),
    };
    points * lines * (name.len() + labels + REST)
}

fn labels_len<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> usize {
    attributes.map(|attribute| attribute.key.as_str().len() + attribute.value.as_str().len() + 4).sum()
}
