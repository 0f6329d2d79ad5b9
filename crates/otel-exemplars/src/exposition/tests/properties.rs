//! Random metrics, written and read back: a page that breaks a rule of its format, a sample that is not in the SDK's
//! data, and data that is neither on the page nor reported.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};
use proptest::prelude::*;

use super::random::{record, specs};
use super::reader::{LabelSet, read};
use super::rig::write;
use crate::exposition::Format;
use crate::exposition::left_out::{LeftOut, Reason};
use crate::exposition::names::label_name;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_read_back_as_what_the_sdk_has(specs in specs(), host in "\\PC{0,5}") {
        let (metrics, exemplars) = record(&specs, &[KeyValue::new("host.name", host), KeyValue::new("x", "y")]);
        for format in [Format::OpenMetrics, Format::Text] {
            let (page, left_out) = write(format, &metrics, &exemplars);
            let groups = read(format, &page).map_err(|fault| TestCaseError::fail(format!("{fault}\n{page}")))?;
            let expected = expected(&metrics);
            let mut found = BTreeSet::new();
            let samples = groups.iter().flat_map(|group| group.samples.iter().map(move |sample| (group, sample)));
            for (group, sample) in samples {
                if sample.name == "target_info" && sample.labels.contains_key("x") {
                    continue;
                }
                let labels = comparable(&sample.labels, group.word == "histogram");
                let candidates = expected.get(&labels);
                let close = |value: &f64| *value == sample.value || value.is_nan() && sample.value.is_nan();
                let is_expected = candidates.is_some_and(|values| values.iter().any(|known| close(&known.value)));
                prop_assert!(is_expected, "{:?} is not in the data: {:?}\n{}", sample, candidates, page);
                found.insert(labels);
                if sample.exemplar.is_some() {
                    prop_assert!(format == Format::OpenMetrics);
                }
            }
            for (labels, values) in &expected {
                let excused = values.iter().all(|known| known.is_excused(format, &left_out));
                let is_there = excused || found.contains(labels);
                prop_assert!(is_there, "lost: {:?} {:?}\n{}\n{:?}", labels, values, page, left_out);
            }
        }
    }

    #[test]
    fn the_same_metrics_give_the_same_series_in_both_formats(specs in specs()) {
        let (metrics, exemplars) = record(&specs, &[]);
        let (open_metrics, out) = write(Format::OpenMetrics, &metrics, &exemplars);
        let (text, _) = write(Format::Text, &metrics, &exemplars);
        let series = |format, page: &str| -> BTreeSet<(String, LabelSet)> {
            let groups = read(format, page).unwrap();
            groups.into_iter().flat_map(|group| group.samples).map(|sample| (sample.name, sample.labels)).collect()
        };
        let (open_metrics, text) = (series(Format::OpenMetrics, &open_metrics), series(Format::Text, &text));
        prop_assert!(open_metrics.is_subset(&text) || !out.is_empty());
        let only_text = text.difference(&open_metrics);
        // Sums that may fall, and counters that are no counts, are on the text page only.
        for (name, _) in only_text {
            prop_assert!(name.ends_with("_sum") || name.ends_with("_count") || !out.is_empty(), "{}", name);
        }
    }
}

#[derive(Debug)]
struct Known {
    metric: String,
    value: f64,
    /// A histogram's sum or count that OpenMetrics does not allow.
    is_forbidden: bool,
}

impl Known {
    /// True for losses that the writer told of.
    fn is_excused(&self, format: Format, left_out: &[LeftOut]) -> bool {
        let told = |reason: &Reason| !matches!(reason, Reason::Untyped { .. } | Reason::NoLabelName);
        self.is_forbidden && format == Format::OpenMetrics
            || left_out.iter().any(|one| one.metric == self.metric && told(&one.reason))
    }
}

type Expected = BTreeMap<LabelSet, Vec<Known>>;

/// Every sample by its labels, bucket bounds as numbers.
fn expected(metrics: &ResourceMetrics) -> Expected {
    let mut all = Expected::new();
    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        match metric.data() {
            AggregatedMetrics::F64(data) => add(&mut all, metric, data, |value| value),
            AggregatedMetrics::U64(data) => add(&mut all, metric, data, |value| value as f64),
            AggregatedMetrics::I64(data) => add(&mut all, metric, data, |value| value as f64),
        }
    }
    all
}

fn add<T: Copy>(all: &mut Expected, metric: &Metric, data: &MetricData<T>, float: impl Fn(T) -> f64) {
    let mut add_one = |labels: LabelSet, is_forbidden, value| {
        all.entry(labels).or_default().push(Known { metric: metric.name().to_owned(), value, is_forbidden });
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|p| add_one(naive(p.attributes(), false), false, float(p.value())));
        }
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|p| add_one(naive(p.attributes(), false), false, float(p.value())));
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points() {
                let labels = naive(point.attributes(), true);
                let sum = float(point.sum());
                let may_fall = sum < 0.0 || point.bounds().any(|bound| bound < 0.0);
                add_one(labels.clone(), may_fall, sum);
                add_one(labels.clone(), may_fall, point.count() as f64);
                let mut total = 0;
                for (bound, count) in point.bounds().zip(point.bucket_counts()) {
                    total += count;
                    add_one(with_le(&labels, bound), false, total as f64);
                }
                add_one(with_le(&labels, f64::INFINITY), false, point.count() as f64);
            }
        }
        MetricData::ExponentialHistogram(_) => unreachable!("no view asks for one"),
    }
}

fn with_le(labels: &LabelSet, bound: f64) -> LabelSet {
    labels.iter().map(|(k, v)| (k.clone(), v.clone())).chain([("le".to_owned(), format!("{bound:?}"))]).collect()
}

/// The labels, worked out the slow and obvious way.
fn naive<'a>(attributes: impl Iterator<Item = &'a KeyValue>, is_histogram: bool) -> LabelSet {
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort_by_key(|attribute| attribute.key.as_str().to_owned());
    let mut labels = LabelSet::new();
    for attribute in attributes {
        let key = attribute.key.as_str();
        let name = match key {
            "__name__" => None,
            "le" if is_histogram => Some("exported_le".into()),
            _ => label_name(key),
        };
        let Some(name) = name else { continue };
        let value = text_of(&attribute.value);
        let joined = match labels.get(name.as_ref()) {
            Some(first) if !String::is_empty(first) => format!("{first};{value}"),
            _ => value,
        };
        labels.insert(name.into_owned(), joined);
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn text_of(value: &Value) -> String {
    let mut escaped = String::new();
    crate::exposition::values::push_value(&mut escaped, value);
    let line = format!("x{{a=\"{escaped}\"}} 1");
    super::reader::sample(&line).unwrap().labels.remove("a").unwrap()
}

/// Scope labels are the writer's own; the tests of `sharing` have them. Bounds become comparable.
fn comparable(labels: &LabelSet, is_histogram: bool) -> LabelSet {
    let mut labels = labels.clone();
    labels.retain(|name, _| !name.starts_with("otel_scope_"));
    if let Some(le) = labels.get_mut("le").filter(|_| is_histogram) {
        *le = format!("{:?}", le.parse::<f64>().unwrap());
    }
    labels
}
