//! Makes instruments that offer exemplars.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::metrics::Meter;
use opentelemetry::{InstrumentationScope, KeyValue};

use crate::attributes::normalize;
use crate::counter::Counter;
use crate::histogram::Histogram;
use crate::hub::Exemplars;
use crate::series::Series;

/// The SDK's default boundaries (metrics SDK specification, "Explicit Bucket Histogram Aggregation").
const DEFAULT_BOUNDARIES: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// A meter whose histograms and counters offer exemplars.
#[derive(Clone, Debug)]
pub struct ExemplarMeter {
    exemplars: Exemplars,
    meter: Meter,
    scope: InstrumentationScope,
}

impl ExemplarMeter {
    pub(crate) fn new(exemplars: Exemplars, meter: Meter, scope: InstrumentationScope) -> Self {
        Self { exemplars, meter, scope }
    }

    /// The SDK's meter of the same scope, for instruments without exemplars: gauges, up-down counters, observables.
    #[must_use]
    pub fn inner(&self) -> &Meter {
        &self.meter
    }

    /// A histogram of `f64` values.
    pub fn f64_histogram(&self, name: impl Into<Cow<'static, str>>) -> HistogramBuilder {
        HistogramBuilder { meter: self.clone(), name: name.into(), unit: None, description: None, boundaries: None }
    }

    /// A monotonic counter of `u64` increments; its one slot holds an increment and the span that made it.
    pub fn u64_counter(&self, name: impl Into<Cow<'static, str>>) -> CounterBuilder {
        CounterBuilder { meter: self.clone(), name: name.into(), unit: None, description: None }
    }
}

/// Where the series of one instrument get their slots.
#[derive(Clone, Debug)]
pub(crate) struct SeriesSource {
    pub(crate) exemplars: Exemplars,
    scope: InstrumentationScope,
    name: Cow<'static, str>,
    bounds: Arc<[f64]>,
}

impl SeriesSource {
    /// The slots of the series with these attributes; `None` where exemplars are off or the bound on series is reached.
    pub(crate) fn series(&self, attributes: &[KeyValue]) -> Option<Arc<Series>> {
        let hub = &self.exemplars.0;
        if !hub.settings.enabled {
            return None;
        }
        hub.registry.series(&self.scope, &self.name, normalize(attributes), &self.bounds)
    }
}

/// Configures a [`Histogram`].
#[derive(Clone, Debug)]
#[must_use = "call build() to make the histogram"]
pub struct HistogramBuilder {
    meter: ExemplarMeter,
    name: Cow<'static, str>,
    unit: Option<Cow<'static, str>>,
    description: Option<Cow<'static, str>>,
    boundaries: Option<Vec<f64>>,
}

impl HistogramBuilder {
    /// The unit of the recorded values, as UCUM writes it: `s`, `By`.
    pub fn with_unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// What the histogram measures.
    pub fn with_description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The inclusive upper bounds of the buckets, ascending; the last bucket has none. Default: the SDK's.
    ///
    /// Slots follow these bounds. A view that sets others moves the SDK's buckets and not the slots: exemplars still
    /// stand in the right bucket, since that goes by their value, but a bucket may get several of them or none.
    pub fn with_boundaries(mut self, boundaries: Vec<f64>) -> Self {
        self.boundaries = Some(boundaries);
        self
    }

    /// Makes the histogram. Boundaries that the SDK rejects leave a histogram that records nothing, as the SDK has it.
    #[must_use]
    pub fn build(self) -> Histogram {
        let bounds = Arc::from(self.boundaries.as_deref().unwrap_or(&DEFAULT_BOUNDARIES));
        let mut builder = self.meter.meter.f64_histogram(self.name.clone());
        builder.unit = self.unit;
        builder.description = self.description;
        builder.boundaries = self.boundaries;
        let ExemplarMeter { exemplars, scope, .. } = self.meter;
        Histogram::new(builder.build(), SeriesSource { exemplars, scope, name: self.name, bounds })
    }
}

/// Configures a [`Counter`].
#[derive(Clone, Debug)]
#[must_use = "call build() to make the counter"]
pub struct CounterBuilder {
    meter: ExemplarMeter,
    name: Cow<'static, str>,
    unit: Option<Cow<'static, str>>,
    description: Option<Cow<'static, str>>,
}

impl CounterBuilder {
    /// The unit of the increments, as UCUM writes it; countables take an annotation such as `{request}`.
    pub fn with_unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// What the counter counts.
    pub fn with_description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Makes the counter.
    #[must_use]
    pub fn build(self) -> Counter {
        let mut builder = self.meter.meter.u64_counter(self.name.clone());
        builder.unit = self.unit;
        builder.description = self.description;
        let ExemplarMeter { exemplars, scope, .. } = self.meter;
        Counter::new(builder.build(), SeriesSource { exemplars, scope, name: self.name, bounds: Arc::from([]) })
    }
}
