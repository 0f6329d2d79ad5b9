//! What the metrics were in the last minutes: what each collection added, for every series, within a number of bytes.
//!
//! A point is kept only where something changed, so a series that rests costs nothing. When the bytes are used up the
//! oldest points of all series go, and the history is shorter than [`super::WINDOW_S`].

pub mod quantile;
mod sample;
mod series;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::metrics::data::ResourceMetrics;
use serde::Serialize;

use super::{SECOND, WINDOW_S};
use series::Series;

/// Series that are kept at most; further ones are counted. The SDK itself stops at 2,000 of one instrument.
const MAX_SERIES: usize = 4_000;

/// What the oldest points are thrown out by when the bytes are used up.
const STEP: u64 = 15 * SECOND;

/// The metrics of the last minutes.
#[derive(Debug)]
pub struct History {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    metrics: BTreeMap<String, Metric>,
    bytes: usize,
    series: usize,
    left_out: u64,
    /// When metrics were collected first and last.
    first: u64,
    newest: u64,
}

#[derive(Debug)]
struct Metric {
    kind: MetricKind,
    unit: String,
    description: String,
    /// Of a histogram.
    bounds: Arc<[f64]>,
    series: BTreeMap<Vec<(String, String)>, Series>,
}

/// How the values of a metric are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A sum that only grows.
    Counter,
    /// A value as it is.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric and what it has been recorded with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Instrument {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit.
    pub unit: String,
    /// What it says of itself.
    pub description: String,
    /// The attributes of its series, each sorted by key.
    pub series: Vec<Vec<(String, String)>>,
}

/// A time and how it is divided, in nanoseconds since the Unix epoch: a column has what was collected after its start and
/// until its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The start of the first column.
    pub from_unix_ns: u64,
    /// The length of each column, above 0.
    pub step_ns: u64,
    /// How many columns.
    pub columns: usize,
}

impl Range {
    /// `columns` of `step_ns`, the last of which ends at `end` or after it: starts are multiples of the step, so that
    /// columns do not change while time goes on.
    #[must_use]
    pub fn ending(end: u64, step_ns: u64, columns: usize) -> Self {
        Self::complete(end.div_ceil(step_ns.max(1)) * step_ns, step_ns, columns)
    }

    /// The same without the last column where that is not over at `end`.
    #[must_use]
    pub fn complete(end: u64, step_ns: u64, columns: usize) -> Self {
        let step_ns = step_ns.max(1);
        let end = end / step_ns * step_ns;
        Self { from_unix_ns: end.saturating_sub(step_ns * columns as u64), step_ns, columns }
    }

    /// The column of a time.
    #[must_use]
    pub fn column(&self, unix_ns: u64) -> Option<usize> {
        let after = unix_ns.checked_sub(self.from_unix_ns)?.checked_sub(1)?;
        usize::try_from(after / self.step_ns).ok().filter(|column| *column < self.columns)
    }

    /// The end of a column.
    #[must_use]
    pub fn end(&self, column: usize) -> u64 {
        self.from_unix_ns + self.step_ns * (column as u64 + 1)
    }

    /// The length of a column, in seconds.
    #[must_use]
    pub fn step_s(&self) -> f64 {
        self.step_ns as f64 / SECOND as f64
    }
}

/// What a histogram has counted, column by column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// The columns.
    pub range: Range,
    /// The inclusive upper bounds of the buckets; the last bucket has none.
    pub bounds: Vec<f64>,
    /// For each column the count of each bucket.
    pub counts: Vec<Vec<u64>>,
    /// For each column the sum of the values.
    pub sums: Vec<f64>,
}

impl Distribution {
    fn empty(range: Range, bounds: &[f64]) -> Self {
        let counts = vec![vec![0; bounds.len() + 1]; range.columns];
        Self { range, bounds: bounds.to_vec(), counts, sums: vec![0.0; range.columns] }
    }

    /// The buckets of all columns together.
    #[must_use]
    pub fn total(&self) -> Vec<u64> {
        let mut total = vec![0; self.bounds.len() + 1];
        for column in &self.counts {
            total.iter_mut().zip(column).for_each(|(sum, count)| *sum += count);
        }
        total
    }

    /// What was counted per second in each column.
    pub fn rates(&self) -> impl Iterator<Item = f64> {
        self.counts.iter().map(|column| column.iter().sum::<u64>() as f64 / self.range.step_s())
    }
}

impl History {
    /// An empty one that takes at most `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { limit: bytes, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was collected at a time, in nanoseconds since the Unix epoch.
    pub fn sample(&self, metrics: &ResourceMetrics, unix_ns: u64) {
        let mut inner = self.inner();
        if inner.newest == 0 {
            inner.first = unix_ns;
        }
        inner.newest = unix_ns;
        sample::sample(&mut inner, metrics, unix_ns, self.limit / 2);
        inner.forget(unix_ns.saturating_sub(WINDOW_S * SECOND));
        while inner.bytes > self.limit
            && let Some(oldest) = inner.oldest()
        {
            inner.forget(oldest + STEP);
        }
    }

    /// When metrics were collected last, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.inner().newest
    }

    /// The last `seconds` as one column, or less where the process is younger than that.
    #[must_use]
    pub fn last(&self, seconds: u64) -> Range {
        let inner = self.inner();
        // What the first collection found was recorded before it, in no time that is known.
        let began = inner.first.saturating_sub(SECOND);
        let from_unix_ns = began.max(inner.newest.saturating_sub(seconds * SECOND));
        Range { from_unix_ns, step_ns: (inner.newest - from_unix_ns).max(1), columns: 1 }
    }

    /// The metrics by name.
    #[must_use]
    pub fn instruments(&self) -> Vec<Instrument> {
        let inner = self.inner();
        let instrument = |(name, metric): (&String, &Metric)| Instrument {
            name: name.clone(),
            kind: metric.kind,
            unit: metric.unit.clone(),
            description: metric.description.clone(),
            series: metric.series.keys().cloned().collect(),
        };
        inner.metrics.iter().map(instrument).collect()
    }

    /// The attributes of the series of a histogram that have counted anything; some are there from the start with 0.
    #[must_use]
    pub fn counted(&self, metric: &str) -> Vec<Vec<(String, String)>> {
        let inner = self.inner();
        let Some(metric) = inner.metrics.get(metric) else { return Vec::new() };
        let counted = |(_, series): &(&Vec<(String, String)>, &Series)| series.cumulative().0.any(|count| count > 0);
        metric.series.iter().filter(counted).map(|(attributes, _)| attributes.clone()).collect()
    }

    /// A histogram over time, of all its series that have these attributes; `None` where there is no such histogram.
    #[must_use]
    pub fn distribution(&self, metric: &str, attributes: &[(String, String)], range: Range) -> Option<Distribution> {
        let inner = self.inner();
        let metric = inner.metrics.get(metric).filter(|metric| metric.kind == MetricKind::Histogram)?;
        let mut all = Distribution::empty(range, &metric.bounds);
        for series in metric.having(attributes) {
            series.distribute(range, &mut all.counts, &mut all.sums);
        }
        Some(all)
    }

    /// The same for each combination of the values of these keys, empty where a series has no such attribute; in the order of
    /// the values.
    #[must_use]
    pub fn grouped(&self, metric: &str, keys: &[&str], range: Range) -> Vec<(Vec<String>, Distribution)> {
        let inner = self.inner();
        let Some(metric) = inner.metrics.get(metric).filter(|metric| metric.kind == MetricKind::Histogram) else {
            return Vec::new();
        };
        let mut groups: BTreeMap<Vec<String>, Distribution> = BTreeMap::new();
        for (attributes, series) in &metric.series {
            let value = |key: &&str| attributes.iter().find(|(has, _)| has == key).map(|(_, value)| value.clone());
            let values = keys.iter().map(|key| value(key).unwrap_or_default()).collect();
            let group = groups.entry(values).or_insert_with(|| Distribution::empty(range, &metric.bounds));
            series.distribute(range, &mut group.counts, &mut group.sums);
        }
        groups.into_iter().collect()
    }

    /// The buckets of a histogram since the process began, and the sum of its values.
    #[must_use]
    pub fn since_start(&self, metric: &str, attributes: &[(String, String)]) -> Option<(Vec<u64>, f64)> {
        let inner = self.inner();
        let metric = inner.metrics.get(metric).filter(|metric| metric.kind == MetricKind::Histogram)?;
        let mut total = (vec![0; metric.bounds.len() + 1], 0.0);
        for series in metric.having(attributes) {
            let (counts, sum) = series.cumulative();
            total.0.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            total.1 += sum;
        }
        Some(total)
    }

    /// What a counter has grown by in each column, or what a gauge was at each column's end; summed over all series that
    /// have these attributes. `None` where there is no such metric.
    #[must_use]
    pub fn values(&self, metric: &str, attributes: &[(String, String)], range: Range) -> Option<Vec<f64>> {
        let inner = self.inner();
        let metric = inner.metrics.get(metric).filter(|metric| metric.kind != MetricKind::Histogram)?;
        let mut values = vec![0.0; range.columns];
        for series in metric.having(attributes) {
            match metric.kind {
                MetricKind::Gauge => series.levels(range, &mut values),
                _ => series.increases(range, &mut values),
            }
        }
        Some(values)
    }

    /// Memory in bytes, its limit, and how many series found no room.
    #[must_use]
    pub fn room(&self) -> (usize, usize, u64) {
        let inner = self.inner();
        (inner.bytes, self.limit, inner.left_out)
    }
}

impl Inner {
    fn oldest(&self) -> Option<u64> {
        self.metrics.values().flat_map(|metric| metric.series.values()).filter_map(Series::oldest).min()
    }

    /// Throws out the points before a time.
    fn forget(&mut self, before: u64) {
        let freed: usize = self
            .metrics
            .values_mut()
            .flat_map(|metric| metric.series.values_mut())
            .map(|series| series.forget(before))
            .sum();
        self.bytes -= freed;
    }
}

impl Metric {
    fn having(&self, attributes: &[(String, String)]) -> impl Iterator<Item = &Series> {
        let has = move |of: &&Vec<(String, String)>| attributes.iter().all(|one| of.contains(one));
        self.series.iter().filter(move |(of, _)| has(of)).map(|(_, series)| series)
    }
}

#[cfg(test)]
mod tests;
