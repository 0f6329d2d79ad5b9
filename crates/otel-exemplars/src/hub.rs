//! The handle that instruments, exporters and `/metrics` share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use crate::acknowledge::Settlement;
use crate::exemplar::{Exemplar, SpanKey};
use crate::listener::{Listener, PickedExemplar};
use crate::meter::ExemplarMeter;
use crate::outbox::Outbox;
use crate::processor::RemoteTraces;
use crate::room::{Entry, Picked, WaitingRoom};
use crate::series::{Registry, Series};
use crate::settings::{ExemplarsBuilder, RemoteParents};
use crate::slot::{Slot, Window};
use crate::stats::{self, Counters, DropReason, Stats};
use crate::sync::{Mutex, lock};

/// The attribute that a picked exemplar sets on its span, to `true`; tail samplers keep the traces that have it.
pub const MARK: &str = "exemplar";

/// The exemplars of one process: make one, clone it to where it is needed.
#[derive(Clone, Debug)]
pub struct Exemplars(pub(crate) Arc<Hub>);

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) settings: ExemplarsBuilder,
    pub(crate) window: Window,
    pub(crate) registry: Registry,
    pub(crate) room: WaitingRoom,
    pub(crate) outbox: Outbox,
    pub(crate) remote: RemoteTraces,
    pub(crate) counters: Counters,
    /// Set once a metric exporter exists: it opens the windows then, and it is what exemplars leave through.
    pub(crate) pushes: AtomicBool,
    window_opened: Mutex<Instant>,
}

impl Exemplars {
    /// Starts with the defaults, see [`ExemplarsBuilder`].
    #[must_use]
    pub fn builder() -> ExemplarsBuilder {
        ExemplarsBuilder::default()
    }

    pub(crate) fn new(settings: ExemplarsBuilder) -> Self {
        Self(Arc::new(Hub {
            window: Window::new(),
            registry: Registry::new(settings.max_series),
            room: WaitingRoom::new(settings.max_waiting),
            outbox: Outbox::new(settings.max_waiting),
            remote: RemoteTraces::default(),
            counters: Counters::new(),
            pushes: AtomicBool::new(false),
            window_opened: Mutex::new(Instant::now()),
            settings,
        }))
    }

    /// A meter of `provider` whose histograms and counters offer exemplars.
    pub fn meter(&self, provider: &impl MeterProvider, scope: InstrumentationScope) -> ExemplarMeter {
        ExemplarMeter::new(self.clone(), provider.meter_with_scope(scope.clone()), scope)
    }

    /// What became of the exemplars so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.read(self.0.room.len() + self.0.outbox.len())
    }

    /// Registers `exemplars.offered`, `.picked`, `.shipped` and `.dropped{reason}` with `meter`, in `{exemplar}`.
    pub fn register_metrics(&self, meter: &Meter) {
        stats::register(self, meter);
    }
}

impl Hub {
    /// The window in which `slot` is free, if it is: two loads where it is taken, as it nearly always is.
    #[inline]
    pub(crate) fn free(&self, slot: &Slot) -> Option<u64> {
        let window = self.window.current();
        (!slot.is_taken(window)).then_some(window)
    }

    /// A record met a slot that was free in `window`, and the SDK has counted its value by now. It becomes the exemplar
    /// if the current span can be marked.
    #[cold]
    #[inline(never)]
    pub(crate) fn offer(&self, series: &Arc<Series>, slot: &Slot, window: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        Context::map_current(|context| {
            if !context.has_active_span() {
                return;
            }
            let span = context.span();
            let ids = span.span_context();
            if !ids.is_sampled() || !ids.is_valid() {
                return;
            }
            if !span.is_recording() {
                return self.counters.dropped(DropReason::NotRecording, 1);
            }
            if self.settings.remote_parents == RemoteParents::Skip && self.remote.contains(ids.trace_id()) {
                return self.counters.dropped(DropReason::RemoteParent, 1);
            }
            if !slot.claim(window) {
                return;
            }
            let exemplar =
                Exemplar { value, time: SystemTime::now(), trace_id: ids.trace_id(), span_id: ids.span_id() };
            // Enter before marking: a mark without an exemplar costs the store a trace, an exemplar whose mark comes
            // too late for its span is found out when that span is exported.
            match self.room.enter(Picked { series: Arc::clone(series), exemplar }) {
                Entry::First => span.set_attribute(KeyValue::new(MARK, true)),
                Entry::Another => {}
                Entry::Full => return self.counters.dropped(DropReason::WaitingRoomFull, 1),
            }
            self.counters.picked();
            if let Some(Listener(listener)) = &self.settings.listener {
                let Exemplar { value, time, trace_id, span_id } = exemplar;
                let (metric, attributes) = (&*series.metric, &*series.attributes);
                listener(&PickedExemplar { metric, attributes, value, time, trace_id, span_id });
            }
        });
    }

    /// Decides over the exemplars of exported spans.
    pub(crate) fn settle(&self, spans: Vec<(SpanKey, Settlement)>, exported: Result<(), DropReason>) {
        let now = SystemTime::now();
        for (span, settlement) in spans {
            let picked = self.room.leave(span);
            let verdict = exported.and_then(|()| settlement.verdict(now, self.settings.ack_limit()));
            match verdict {
                Ok(()) => self.acknowledged(picked),
                Err(reason) => self.counters.dropped(reason, picked.len()),
            }
        }
    }

    fn acknowledged(&self, picked: Vec<Picked>) {
        for picked in &picked {
            picked.series.expose(picked.exemplar);
        }
        if self.pushes.load(Ordering::Relaxed) {
            let over = self.outbox.put(picked);
            self.counters.dropped(DropReason::OutboxFull, over);
        } else {
            self.counters.shipped(picked.len());
        }
    }

    /// Opens the next window and throws out what has waited too long.
    pub(crate) fn advance(&self) {
        *lock(&self.window_opened) = Instant::now();
        let expired = self.room.expire(SystemTime::now(), self.settings.decision_wait);
        self.counters.dropped(DropReason::NeverExported, expired);
        self.window.advance();
    }

    /// Lets scrapes open the windows where no metric exporter does.
    pub(crate) fn advance_by_scrape(&self) {
        let due = lock(&self.window_opened).elapsed() >= self.settings.window;
        if due && !self.pushes.load(Ordering::Relaxed) {
            self.advance();
        }
    }
}
