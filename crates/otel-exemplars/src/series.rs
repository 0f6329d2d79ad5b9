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

/// Buckets of a block. The SDK's default boundaries and those of the semantic conventions make 16 and 15 buckets.
const BLOCK: usize = 16;

/// Slots and the upper bounds of their buckets. Arrays of a fixed length inside the series: a search without a length to
/// check or a pointer to follow takes half the time, and it is most of what a record costs here.
#[derive(Debug)]
struct Block {
    /// Inclusive; infinite from the last bucket on.
    bounds: [f64; BLOCK],
    slots: [Slot; BLOCK],
}

impl Block {
    fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: std::array::from_fn(|at| bounds.get(at).copied().unwrap_or(f64::INFINITY)),
            slots: std::array::from_fn(|_| Slot::new()),
        }
    }

    /// The place of the bucket that counts `value`, if the last bound is not below it.
    #[inline]
    fn place(&self, value: f64) -> usize {
        // The remainder changes nothing for such values, and spares the check of the index.
        self.bounds.partition_point(|bound| *bound < value) % BLOCK
    }
}

/// One time series with a slot per bucket.
#[derive(Debug)]
pub(crate) struct Series {
    /// The first buckets, mostly all of them.
    first: Block,
    /// Further buckets, ascending; the very last bound is infinite.
    further: Box<[Block]>,
    /// The name of the metric.
    pub(crate) metric: Box<str>,
    /// Sorted by key, each key once.
    pub(crate) attributes: Vec<KeyValue>,
    /// The newest acknowledged exemplar of each bucket, for `/metrics`; empty until there is one.
    exposed: Mutex<Vec<Option<Exemplar>>>,
}

impl Series {
    fn new(metric: &str, attributes: Vec<KeyValue>, bounds: &[f64]) -> Self {
        let block = |number: usize| Block::new(&bounds[number * BLOCK..]);
        // There is one bucket more than there are bounds, so the last block is never empty.
        let further = (1..=bounds.len() / BLOCK).map(block).collect();
        Self { first: block(0), further, metric: metric.into(), attributes, exposed: Mutex::new(Vec::new()) }
    }

    /// The slot of the bucket in which the SDK counts `value`: bounds are inclusive upper ones.
    #[inline]
    pub(crate) fn slot(&self, value: f64) -> &Slot {
        let (_, block) = self.block(value);
        &block.slots[block.place(value)]
    }

    /// The slot of a series without bounds.
    #[inline]
    pub(crate) fn only_slot(&self) -> &Slot {
        &self.first.slots[0]
    }

    fn bucket(&self, value: f64) -> usize {
        let (number, block) = self.block(value);
        number * BLOCK + block.place(value)
    }

    /// The block with the bucket of `value`, and its number.
    #[inline]
    fn block(&self, value: f64) -> (usize, &Block) {
        if value <= self.first.bounds[BLOCK - 1] { (0, &self.first) } else { self.further_block(value) }
    }

    /// The same where the first block does not count `value`; the first one for what is no number.
    #[inline(never)]
    fn further_block(&self, value: f64) -> (usize, &Block) {
        let at = self.further.partition_point(|block| block.bounds[BLOCK - 1] < value);
        self.further.get(at).map_or((0, &self.first), |block| (at + 1, block))
    }

    pub(crate) fn expose(&self, exemplar: Exemplar) {
        let mut exposed = lock(&self.exposed);
        exposed.resize(BLOCK * (1 + self.further.len()), None);
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
    pub(crate) fn of_point<'a>(&'a self, attributes: &'a [&KeyValue]) -> impl Iterator<Item = &'a Arc<Series>> {
        let exact = self.series.get(attributes.iter().copied());
        let narrowed = exact.is_none() && attributes.len() < self.widest;
        let holds = |series: &&Arc<Series>| contains_all(&series.attributes, attributes.iter().copied());
        exact.into_iter().chain(narrowed.then(|| self.series.values().filter(holds)).into_iter().flatten())
    }
}

/// All series that have slots.
#[derive(Debug)]
pub(crate) struct Registry {
    max_series: usize,
    metrics: RwLock<Metrics>,
}

/// The series by metric. A metric is named by its scope and its name, which instruments compare without case.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    by_scope: HashMap<InstrumentationScope, HashMap<String, MetricSeries>>,
    series: usize,
}

impl Metrics {
    pub(crate) fn get(&self, scope: &InstrumentationScope, metric: &str) -> Option<&MetricSeries> {
        self.by_scope.get(scope)?.get(&metric.to_ascii_lowercase())
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
        scope: &InstrumentationScope,
        metric: &str,
        attributes: Vec<KeyValue>,
        bounds: &[f64],
    ) -> Option<Arc<Series>> {
        let mut metrics = self.metrics.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Metrics { by_scope, series: count } = &mut *metrics;
        let of_metric = by_scope.entry(scope.clone()).or_default().entry(metric.to_ascii_lowercase()).or_default();
        if let Some(series) = of_metric.series.get(attributes.iter()) {
            return Some(Arc::clone(series));
        }
        if *count >= self.max_series {
            return None;
        }
        let series = Arc::new(Series::new(metric, attributes.clone(), bounds));
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

    fn scope() -> InstrumentationScope {
        InstrumentationScope::builder("s").build()
    }

    fn exemplar(value: f64, time: SystemTime) -> Exemplar {
        Exemplar { value, time, trace_id: TraceId::from(1), span_id: SpanId::from(1) }
    }

    #[test]
    fn a_value_on_a_bound_belongs_to_the_bucket_below_it_as_in_the_sdk() {
        let series = Series::new("m", vec![], &[1.0, 5.0]);
        assert_eq!([0.0, 1.0, 1.1, 5.0, 9.0].map(|value| series.bucket(value)), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn each_bucket_has_a_slot_of_its_own_however_many_there_are() {
        for count in [0_u32, 1, 14, 15, 16, 17, 31, 32, 33, 100] {
            let bounds: Vec<f64> = (1..=count).map(f64::from).collect();
            let series = Series::new("m", vec![], &bounds);
            let values = || (0..=count).map(|bucket| f64::from(bucket) + 0.5);
            let buckets: Vec<usize> = values().map(|value| series.bucket(value)).collect();
            assert!(buckets.iter().copied().eq(0..=count as usize), "{count} bounds: {buckets:?}");
            let mut slots: Vec<*const Slot> = values().map(|value| std::ptr::from_ref(series.slot(value))).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), count as usize + 1);
            for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                series.slot(odd);
            }
        }
    }

    #[test]
    fn series_beyond_the_bound_have_no_slots() {
        let registry = Registry::new(1);
        let bounds = [1.0];
        let first = registry.series(&scope(), "m", vec![KeyValue::new("a", 1)], &bounds).unwrap();
        assert!(Arc::ptr_eq(&first, &registry.series(&scope(), "M", vec![KeyValue::new("a", 1)], &bounds).unwrap()));
        assert!(registry.series(&scope(), "m", vec![KeyValue::new("a", 2)], &bounds).is_none());
    }

    #[test]
    fn a_point_that_a_view_narrowed_finds_the_series_it_sums() {
        let registry = Registry::new(9);
        let bounds = [1.0];
        for user in ["x", "y"] {
            registry.series(&scope(), "m", vec![KeyValue::new("route", "/a"), KeyValue::new("user", user)], &bounds);
        }
        let metrics = registry.read();
        let of_metric = metrics.get(&scope(), "m").unwrap();
        assert_eq!(of_metric.of_point(&[&KeyValue::new("route", "/a")]).count(), 2);
        assert_eq!(of_metric.of_point(&[&KeyValue::new("route", "/b")]).count(), 0);
        assert_eq!(of_metric.of_point(&[&KeyValue::new("otel.metric.overflow", true)]).count(), 0);
    }

    #[test]
    fn metrics_shows_the_newest_exemplar_of_a_bucket_until_it_is_old() {
        let series = Series::new("m", vec![], &[1.0, 5.0]);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        series.expose(exemplar(4.0, start));
        series.expose(exemplar(0.5, start + Duration::from_secs(1)));
        series.expose(exemplar(0.7, start));
        let values = |at| series.exposed(at).iter().map(|e| e.value).collect::<Vec<_>>();
        assert_eq!(values(start), [0.5, 4.0]);
        assert_eq!(values(start + EXPOSED_FOR + Duration::from_secs(1)), [0.5]);
    }
}
