//! Time series that can offer exemplars, and the registry in which the exporters find them again.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use opentelemetry::{InstrumentationScope, KeyValue};

use crate::attributes::{AttributeMap, contains_all};
use crate::exemplar::Exemplar;
use crate::slot::Slot;
use crate::sync::{Mutex, lock};

/// How long `/metrics` goes on showing an exemplar, at least while its bucket gets no newer one.
///
/// Prometheus stores an exemplar once, so a handful of scrapes is enough; and a trace store keeps traces for longer
/// than this, so that what is shown still resolves.
pub(crate) const EXPOSED_FOR: Duration = Duration::from_secs(300);

/// Up to how many bounds counting is faster than a binary search.
const COUNTED_BOUNDS: usize = 32;

/// One time series with a slot per bucket.
#[derive(Debug)]
pub(crate) struct Series {
    /// Sorted by key, each key once.
    pub(crate) attributes: Vec<KeyValue>,
    bounds: Arc<[f64]>,
    slots: Box<[Slot]>,
    /// The newest acknowledged exemplar of each bucket, for `/metrics`; empty until there is one.
    exposed: Mutex<Vec<Option<Exemplar>>>,
}

impl Series {
    fn new(attributes: Vec<KeyValue>, bounds: Arc<[f64]>) -> Self {
        let slots = (0..=bounds.len()).map(|_| Slot::new()).collect();
        Self { attributes, bounds, slots, exposed: Mutex::new(Vec::new()) }
    }

    /// The slot of the bucket in which the SDK counts `value`: bounds are inclusive upper ones.
    #[inline]
    pub(crate) fn slot(&self, value: f64) -> &Slot {
        &self.slots[self.bucket(value)]
    }

    #[inline]
    fn bucket(&self, value: f64) -> usize {
        // Counting all bounds compiles to a few vector instructions, which beat a search whose steps wait for each other.
        if self.bounds.len() <= COUNTED_BOUNDS {
            self.bounds.iter().map(|bound| usize::from(*bound < value)).sum()
        } else {
            self.bounds.partition_point(|bound| *bound < value)
        }
    }

    pub(crate) fn expose(&self, exemplar: Exemplar) {
        let mut exposed = lock(&self.exposed);
        exposed.resize(self.slots.len(), None);
        let place = &mut exposed[self.bucket(exemplar.value)];
        if place.is_none_or(|shown| shown.time <= exemplar.time) {
            *place = Some(exemplar);
        }
    }

    /// What `/metrics` may show at `now`, ascending by value.
    pub(crate) fn exposed(&self, now: SystemTime) -> Vec<Exemplar> {
        let fresh = |exemplar: &Exemplar| now.duration_since(exemplar.time).unwrap_or_default() <= EXPOSED_FOR;
        lock(&self.exposed).iter().flatten().copied().filter(fresh).collect()
    }
}

/// The series of one metric.
#[derive(Debug, Default)]
pub(crate) struct MetricSeries {
    series: AttributeMap<Arc<Series>>,
    /// The largest attribute count of a series; a point with fewer was narrowed by a view.
    widest: usize,
}

impl MetricSeries {
    /// The series that a data point aggregates: the one with its attributes, or, where a view dropped some of them,
    /// all that hold the remaining ones.
    pub(crate) fn of_point(&self, attributes: &[&KeyValue]) -> Vec<&Arc<Series>> {
        if let Some(series) = self.series.get(attributes.iter().copied()) {
            return vec![series];
        }
        if attributes.len() >= self.widest {
            return Vec::new();
        }
        let holds = |series: &&Arc<Series>| contains_all(&series.attributes, attributes.iter().copied());
        self.series.values().filter(holds).collect()
    }
}

/// What names a metric: its scope and its name, which instruments compare without case.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MetricKey {
    scope: InstrumentationScope,
    name: String,
}

impl MetricKey {
    pub(crate) fn new(scope: &InstrumentationScope, name: &str) -> Self {
        Self { scope: scope.clone(), name: name.to_ascii_lowercase() }
    }
}

/// All series that have slots.
#[derive(Debug)]
pub(crate) struct Registry {
    max_series: usize,
    metrics: RwLock<Metrics>,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    by_key: HashMap<MetricKey, MetricSeries>,
    series: usize,
}

impl Metrics {
    pub(crate) fn get(&self, key: &MetricKey) -> Option<&MetricSeries> {
        self.by_key.get(key)
    }
}

impl Registry {
    pub(crate) fn new(max_series: usize) -> Self {
        Self { max_series, metrics: RwLock::default() }
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Metrics> {
        self.metrics.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The series with these normalized attributes, made on first use; `None` over the bound on series.
    pub(crate) fn series(
        &self,
        metric: MetricKey,
        attributes: Vec<KeyValue>,
        bounds: &Arc<[f64]>,
    ) -> Option<Arc<Series>> {
        let mut metrics = self.metrics.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Metrics { by_key, series: count } = &mut *metrics;
        let of_metric = by_key.entry(metric).or_default();
        if let Some(series) = of_metric.series.get(attributes.iter()) {
            return Some(Arc::clone(series));
        }
        if *count >= self.max_series {
            return None;
        }
        let series = Arc::new(Series::new(attributes.clone(), Arc::clone(bounds)));
        of_metric.widest = of_metric.widest.max(attributes.len());
        of_metric.series.insert(attributes, Arc::clone(&series));
        *count += 1;
        Some(series)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceId};

    use super::*;

    fn key(name: &str) -> MetricKey {
        MetricKey::new(&InstrumentationScope::builder("s").build(), name)
    }

    fn exemplar(value: f64, time: SystemTime) -> Exemplar {
        Exemplar { value, time, trace_id: TraceId::from(1), span_id: SpanId::from(1) }
    }

    #[test]
    fn a_value_on_a_bound_belongs_to_the_bucket_below_it_as_in_the_sdk() {
        let series = Series::new(vec![], Arc::from([1.0, 5.0]));
        assert_eq!([0.0, 1.0, 1.1, 5.0, 9.0].map(|value| series.bucket(value)), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn series_beyond_the_bound_have_no_slots() {
        let registry = Registry::new(1);
        let bounds: Arc<[f64]> = Arc::from([1.0]);
        let first = registry.series(key("m"), vec![KeyValue::new("a", 1)], &bounds).unwrap();
        assert!(Arc::ptr_eq(&first, &registry.series(key("M"), vec![KeyValue::new("a", 1)], &bounds).unwrap()));
        assert!(registry.series(key("m"), vec![KeyValue::new("a", 2)], &bounds).is_none());
    }

    #[test]
    fn a_point_that_a_view_narrowed_finds_the_series_it_sums() {
        let registry = Registry::new(9);
        let bounds: Arc<[f64]> = Arc::from([1.0]);
        for user in ["x", "y"] {
            registry.series(key("m"), vec![KeyValue::new("route", "/a"), KeyValue::new("user", user)], &bounds);
        }
        let metrics = registry.read();
        let of_metric = metrics.get(&key("m")).unwrap();
        assert_eq!(of_metric.of_point(&[&KeyValue::new("route", "/a")]).len(), 2);
        assert_eq!(of_metric.of_point(&[&KeyValue::new("route", "/b")]).len(), 0);
        assert_eq!(of_metric.of_point(&[&KeyValue::new("otel.metric.overflow", true)]).len(), 0);
    }

    #[test]
    fn metrics_shows_the_newest_exemplar_of_a_bucket_until_it_is_old() {
        let series = Series::new(vec![], Arc::from([1.0, 5.0]));
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        series.expose(exemplar(4.0, start));
        series.expose(exemplar(0.5, start + Duration::from_secs(1)));
        series.expose(exemplar(0.7, start));
        let values = |at| series.exposed(at).iter().map(|e| e.value).collect::<Vec<_>>();
        assert_eq!(values(start), [0.5, 4.0]);
        assert_eq!(values(start + EXPOSED_FOR + Duration::from_secs(1)), [0.5]);
    }
}
