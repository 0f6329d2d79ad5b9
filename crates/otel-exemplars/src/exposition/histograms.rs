//! Histograms with explicit bounds.

use opentelemetry_sdk::metrics::data::HistogramDataPoint;

use super::Format;
use super::number::{Number, push_canonical, push_u64};
use super::page::{PageWriter, Place, push_exemplar};
use crate::exemplar::Exemplar;

/// The bounds of the point before, as text: most points of a page have the same.
#[derive(Default)]
pub(super) struct Buckets {
    bounds: Vec<f64>,
    /// What follows `le="` up to the value, the last for `+Inf`.
    tails: Vec<String>,
    /// The start of all bucket lines of one series.
    head: String,
    /// The exemplar of each bucket, the last for `+Inf`.
    exemplars: Vec<Option<Exemplar>>,
}

impl Buckets {
    fn set_bounds<B: Iterator<Item = f64>>(&mut self, bounds: impl Fn() -> B) {
        if !self.tails.is_empty() && bounds().eq(self.bounds.iter().copied()) {
            return;
        }
        self.bounds = bounds().collect();
        // The SDK takes only bounds that are finite and ascend, so `+Inf` is not among them.
        self.tails = self.bounds.iter().chain([&f64::INFINITY]).map(|bound| tail(*bound)).collect();
    }

    fn set_head(&mut self, name: &str, labels: &str) {
        self.head.clear();
        for part in [name, "_bucket{", labels, if labels.is_empty() { "" } else { "," }, "le=\""] {
            self.head.push_str(part);
        }
    }

    /// Gives each exemplar to the bucket that counted it; of two in one bucket the newer stays.
    fn set_exemplars(&mut self, found: Vec<Exemplar>) {
        self.exemplars.clear();
        self.exemplars.resize(self.tails.len(), None);
        for exemplar in found {
            let bucket = self.bounds.partition_point(|bound| *bound < exemplar.value);
            let place = &mut self.exemplars[bucket];
            if place.is_none_or(|have| have.time < exemplar.time) {
                *place = Some(exemplar);
            }
        }
    }
}

fn tail(bound: f64) -> String {
    let mut tail = String::new();
    push_canonical(&mut tail, bound);
    tail.push_str("\"} ");
    tail
}

impl<'a> PageWriter<'a> {
    pub(super) fn write_histogram<T: Number>(&mut self, place: Place<'a>, point: &'a HistogramDataPoint<T>) {
        if !self.start_series(place, point.attributes(), true) {
            return;
        }
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.set_bounds(|| point.bounds());
        buckets.set_head(&place.family.name, self.seen.last());
        buckets.set_exemplars(self.exemplars_of(place, point.attributes()));
        self.write_buckets(&buckets, point);
        let sum = point.sum().as_f64();
        // OpenMetrics 1.0: with a negative bound the sum may fall, so it is no counter and must not be there, and the
        // count stands or falls with it. The same goes for a sum that is negative all the same. Text has no such rule.
        let may_fall = buckets.bounds.first().is_some_and(|bound| *bound < 0.0) || sum < 0.0 || sum.is_nan();
        if self.format == Format::Text || !may_fall {
            self.start_line(&place.family.name, "_sum");
            point.sum().push(&mut self.out);
            self.out.push('\n');
            self.start_line(&place.family.name, "_count");
            push_u64(&mut self.out, point.count());
            self.out.push('\n');
        }
        self.buckets = buckets;
    }

    fn write_buckets<T>(&mut self, buckets: &Buckets, point: &HistogramDataPoint<T>) {
        let mut total = 0;
        // Without bounds the SDK counts no buckets: all there is then is the last one.
        let only = buckets.bounds.is_empty().then(|| point.count());
        let counts = only.into_iter().chain(point.bucket_counts());
        for ((tail, exemplar), count) in buckets.tails.iter().zip(&buckets.exemplars).zip(counts) {
            total += count;
            self.out.push_str(&buckets.head);
            self.out.push_str(tail);
            push_u64(&mut self.out, total);
            // An exemplar of a value that the point has not counted yet waits for the next page.
            if let Some(exemplar) = exemplar.as_ref().filter(|_| count > 0) {
                push_exemplar(&mut self.out, exemplar);
            }
            self.out.push('\n');
        }
    }
}
