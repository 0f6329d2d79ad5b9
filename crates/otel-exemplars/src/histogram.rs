//! Histograms that offer exemplars.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram as SdkBoundHistogram, Histogram as SdkHistogram};

use crate::bound::BoundCache;
use crate::hub::Hub;
use crate::meter::SeriesSource;
use crate::series::Series;
use crate::slot::Slot;

/// A histogram of `f64` values; cheap to clone.
///
/// Record while the span is open and current: with plain OpenTelemetry inside `Context::attach`, with `tracing` inside
/// `Span::in_scope` or an instrumented future. Outside of a sampled span the value is counted and nothing is offered.
#[derive(Clone)]
pub struct Histogram {
    sdk: SdkHistogram<f64>,
    source: SeriesSource,
    bound: Arc<BoundCache<BoundHistogram>>,
}

impl Histogram {
    pub(crate) fn new(sdk: SdkHistogram<f64>, source: SeriesSource) -> Self {
        let bound = Arc::new(BoundCache::new(source.exemplars.0.settings.max_series));
        Self { sdk, source, bound }
    }

    /// Resolves the attributes once; keep what it returns, recording through it is the fast way.
    ///
    /// The SDK keeps the series of a bound histogram for as long as the handle lives, also when nothing is recorded.
    pub fn bind(&self, attributes: &[KeyValue]) -> BoundHistogram {
        let sdk = self.sdk.bind(attributes);
        let exemplars = self.source.series(attributes).map(|series| (series, Arc::clone(&self.source.exemplars.0)));
        BoundHistogram { sdk, exemplars }
    }

    /// Records a value, looking up the bound histogram of these attributes, and offers it as an exemplar.
    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        if self.bound.with(attributes, || self.bind(attributes), |bound| bound.record(value)).is_none() {
            self.sdk.record(value, attributes);
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A histogram bound to one set of attributes; cheap to clone.
#[derive(Clone, Debug)]
pub struct BoundHistogram {
    sdk: SdkBoundHistogram<f64>,
    exemplars: Option<(Arc<Series>, Arc<Hub>)>,
}

impl BoundHistogram {
    /// Records a value and offers it as an exemplar; values that are not finite are recorded only.
    #[inline]
    pub fn record(&self, value: f64) {
        if let Some((series, hub)) = &self.exemplars {
            let slot = series.slot(value);
            if let Some(window) = hub.free(slot) {
                return self.record_and_offer(hub, series, slot, window, value);
            }
        }
        // The last call: nothing has to be kept on the stack for after the SDK's lock, which would wait for it.
        self.sdk.record(value);
    }

    #[cold]
    #[inline(never)]
    fn record_and_offer(&self, hub: &Hub, series: &Arc<Series>, slot: &Slot, window: u64, value: f64) {
        self.sdk.record(value);
        // After the SDK has counted the value: see `Exemplar::time`.
        hub.offer(series, slot, window, value);
    }
}
