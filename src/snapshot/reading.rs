//! The metrics of one page, and how fast they grew since the page before.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use super::openmetrics::{Family, Labels, Sample};
use super::quantile::{Bucket, Quantile, quantile};

/// The shares of a histogram's records that are shown: p50, p95 and p99.
pub const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

/// What a service said at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    /// The address of the page.
    pub url: String,
    /// When it was read, in RFC 3339.
    pub time: String,
    /// Sorted by name.
    pub metrics: Vec<Metric>,
    #[serde(skip)]
    at: Instant,
}

/// All series of a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// The name as in queries: with `_total`, and without `_bucket`.
    pub name: String,
    /// `counter`, `gauge`, `histogram`, or what else the page says.
    pub kind: String,
    /// `seconds`, `bytes`, or what else the page says.
    pub unit: Option<String>,
    /// What it is, in words.
    pub help: String,
    /// Sorted by labels.
    pub series: Vec<Series>,
}

/// The latest of one set of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The labels, without `le`.
    pub labels: Labels,
    /// What was read.
    #[serde(flatten)]
    pub value: Value,
    /// How much the counter, or the histogram's count, grew per second since the reading before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

/// A number or a distribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A counter's total, or what a gauge shows.
    Number {
        /// In the unit of the metric.
        value: f64,
    },
    /// What a histogram holds since the service started.
    Histogram(Distribution),
}

/// What a histogram holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// Records.
    pub count: f64,
    /// Their sum; not a number where the page has none.
    pub sum: f64,
    /// Their mean.
    pub mean: f64,
    /// For each of [`SHARES`].
    pub quantiles: [Quantile; 3],
    /// Buckets that have an exemplar.
    pub exemplars: usize,
}

impl Reading {
    /// Groups what was just read from `url`.
    #[must_use]
    pub fn new(url: String, families: Vec<Family>) -> Self {
        let mut metrics = BTreeMap::<String, Metric>::new();
        for mut family in families {
            let samples = std::mem::take(&mut family.samples);
            let mut parts = BTreeMap::<Labels, Parts>::new();
            for sample in samples {
                // When a series began is about the series, and no measurement.
                if sample.name.strip_suffix("_created") == Some(&family.name) {
                    continue;
                }
                let suffix = sample.name.strip_prefix(&family.name).unwrap_or_default();
                if family.kind == "histogram" && ["_bucket", "_count", "_sum"].contains(&suffix) {
                    let mut labels = sample.labels.clone();
                    let le = labels.remove("le");
                    parts.entry(labels).or_default().add(le.as_deref(), suffix, &sample);
                } else {
                    let value = Value::Number { value: sample.value };
                    add(&mut metrics, &sample.name, &family, Series { labels: sample.labels, value, per_second: None });
                }
            }
            for (labels, parts) in parts {
                let value = Value::Histogram(parts.whole());
                add(&mut metrics, &family.name, &family, Series { labels, value, per_second: None });
            }
        }
        let mut metrics: Vec<_> = metrics.into_values().collect();
        metrics.iter_mut().for_each(|metric| metric.series.sort_by(|a, b| a.labels.cmp(&b.labels)));
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { url, time, metrics, at: Instant::now() }
    }

    /// Leaves those metrics whose name begins with one of `prefixes`; all of them if there is none.
    pub fn keep(&mut self, prefixes: &[String]) {
        self.metrics.retain(|metric| prefixes.is_empty() || prefixes.iter().any(|one| metric.name.starts_with(one)));
    }

    /// Fills in how fast everything grew since `before`; what is new since then has no rate.
    ///
    /// A total that fell began anew at 0, as Prometheus supposes.
    pub fn compare(&mut self, before: &Self) {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let old: BTreeMap<_, _> = before
            .metrics
            .iter()
            .flat_map(|metric| metric.series.iter().map(|one| ((&metric.name, &one.labels), one)))
            .filter_map(|(key, one)| Some((key, one.value.total()?)))
            .collect();
        for metric in self.metrics.iter_mut().filter(|metric| ["counter", "histogram"].contains(&&*metric.kind)) {
            for series in &mut metric.series {
                let (Some(now), Some(before)) = (series.value.total(), old.get(&(&metric.name, &series.labels))) else {
                    continue;
                };
                let grown = if now < *before { now } else { now - before };
                series.per_second = (seconds > 0.0).then_some(grown / seconds);
            }
        }
    }
}

impl Value {
    /// What only grows, if it does.
    fn total(&self) -> Option<f64> {
        let total = match self {
            Self::Number { value } => *value,
            Self::Histogram(whole) => whole.count,
        };
        total.is_finite().then_some(total)
    }
}

fn add(metrics: &mut BTreeMap<String, Metric>, name: &str, family: &Family, series: Series) {
    let metric = metrics.entry(name.to_owned()).or_insert_with(|| Metric {
        name: name.to_owned(),
        kind: family.kind.clone(),
        unit: family.unit.clone(),
        help: family.help.clone(),
        series: Vec::new(),
    });
    metric.series.push(series);
}

/// The lines of one histogram.
#[derive(Debug, Default)]
struct Parts {
    buckets: Vec<Bucket>,
    count: Option<f64>,
    sum: Option<f64>,
    exemplars: usize,
}

impl Parts {
    fn add(&mut self, le: Option<&str>, suffix: &str, sample: &Sample) {
        match (suffix, le.and_then(|le| le.parse().ok())) {
            ("_bucket", Some(le)) => self.buckets.push((le, sample.value)),
            ("_count", _) => self.count = Some(sample.value),
            ("_sum", _) => self.sum = Some(sample.value),
            _ => {}
        }
        self.exemplars += usize::from(sample.exemplar);
    }

    fn whole(mut self) -> Distribution {
        self.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let count = self.count.or(self.buckets.last().map(|(_, count)| *count)).unwrap_or(f64::NAN);
        let sum = self.sum.unwrap_or(f64::NAN);
        let quantiles = SHARES.map(|share| quantile(share, &self.buckets));
        Distribution { count, sum, mean: sum / count, quantiles, exemplars: self.exemplars }
    }
}

#[cfg(test)]
mod tests;
