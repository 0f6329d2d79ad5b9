//! Instruments whose values other rooms know: they are asked when metrics are collected, so that a value that nobody
//! looks at costs nothing.

use opentelemetry::metrics::AsyncInstrument;

use super::Instruments;
use crate::names::Instrument;

impl Instruments {
    /// Registers a gauge; `read` is called with each collection and tells its values.
    pub fn observe_gauge(
        &self,
        instrument: Instrument,
        read: impl Fn(&dyn AsyncInstrument<i64>) + Send + Sync + 'static,
    ) {
        let builder = self.meter().i64_observable_gauge(instrument.name).with_unit(instrument.unit);
        let _observed = builder.with_description(instrument.description).with_callback(read).build();
    }

    /// Registers a counter; `read` is called with each collection and tells its totals.
    pub fn observe_counter(
        &self,
        instrument: Instrument,
        read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
    ) {
        let builder = self.meter().u64_observable_counter(instrument.name).with_unit(instrument.unit);
        let _observed = builder.with_description(instrument.description).with_callback(read).build();
    }
}
