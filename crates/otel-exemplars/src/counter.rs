//! Counters that offer exemplars.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter as SdkBoundCounter, Counter as SdkCounter};

use crate::bound::BoundCache;
use crate::hub::Hub;
use crate::meter::SeriesSource;
use crate::series::Series;

/// A monotonic counter of `u64` increments; cheap to clone.
#[derive(Clone)]
pub struct Counter {
    sdk: SdkCounter<u64>,
    source: SeriesSource,
    bound: Arc<BoundCache<BoundCounter>>,
}

impl Counter {
    pub(crate) fn new(sdk: SdkCounter<u64>, source: SeriesSource) -> Self {
        let bound = Arc::new(BoundCache::new(source.exemplars.0.settings.max_series));
        Self { sdk, source, bound }
    }

    /// Resolves the attributes once; keep what it returns, adding through it is the fast way.
    pub fn bind(&self, attributes: &[KeyValue]) -> BoundCounter {
        let sdk = self.sdk.bind(attributes);
        let exemplars = self.source.series(attributes).map(|series| (series, Arc::clone(&self.source.exemplars.0)));
        BoundCounter { sdk, exemplars }
    }

    /// Adds an increment, looking up the bound counter of these attributes, and offers it as an exemplar.
    pub fn add(&self, increment: u64, attributes: &[KeyValue]) {
        if self.bound.with(attributes, || self.bind(attributes), |bound| bound.add(increment)).is_none() {
            self.sdk.add(increment, attributes);
        }
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A counter bound to one set of attributes; cheap to clone.
#[derive(Clone, Debug)]
pub struct BoundCounter {
    sdk: SdkBoundCounter<u64>,
    exemplars: Option<(Arc<Series>, Arc<Hub>)>,
}

impl BoundCounter {
    /// Adds an increment and offers it as an exemplar.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "an exemplar's value is a double in every format that carries it")]
    pub fn add(&self, increment: u64) {
        // As in `BoundHistogram::record`.
        if let Some((series, hub)) = &self.exemplars {
            let slot = series.only_slot();
            if let Some(window) = hub.free(slot) {
                self.sdk.add(increment);
                return hub.offer(series, slot, window, increment as f64);
            }
        }
        self.sdk.add(increment);
    }
}
