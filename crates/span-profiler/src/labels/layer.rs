//! The `tracing` layer that keeps the labels.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::table::{Ids, Place, TABLE};
use super::{current, stack};
use crate::names::{self, NameId};
use crate::{execution, sys};

/// The field by which `tracing-opentelemetry` names a span otherwise than its source does.
const OTEL_NAME: &str = "otel.name";

/// Keeps for each thread which span it is in, over awaits and changes of thread, so that samples can carry it.
///
/// Put it above the layer of `tracing-opentelemetry`, that is: add it later with `with`. That layer makes a span's OpenTelemetry
/// context current when the span is entered, and this one reads the ids there. A span that a filter hides from that layer still
/// labels: by its own name, and with the ids of the nearest span around it that has some. The label's name is
/// the field `otel.name` if there is one.
///
/// Costs some 30 ns for each enter and exit, whether a profile is taken or not. Not every span is known: the outermost 64 that a thread is in, and
/// 32,768 open ones in the process; [`Stats::unlabelled_spans`](crate::Stats::unlabelled_spans) counts the others.
pub struct SpanLabels {
    owner: u32,
}

impl SpanLabels {
    /// A layer; each subscriber needs its own.
    #[must_use]
    pub fn new() -> Self {
        static OWNERS: AtomicU32 = AtomicU32::new(0);
        Self { owner: OWNERS.fetch_add(1, Ordering::Relaxed) }
    }

    fn find(&self, id: &Id) -> Option<Place> {
        let id = id.into_u64();
        Some(Place { id, owner: self.owner, index: TABLE.find(id, self.owner)? })
    }
}

impl Default for SpanLabels {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SpanLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanLabels").finish_non_exhaustive()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLabels {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        let name = renamed(metadata, |visitor| attributes.record(visitor));
        let name = name.unwrap_or_else(|| names::intern_static(metadata.name()));
        let parent = if attributes.is_contextual() {
            // Only this subscriber's spans can be a parent.
            stack::top().filter(|place| place.owner == self.owner)
        } else {
            attributes.parent().and_then(|parent| self.find(parent))
        };
        TABLE.insert(id.into_u64(), self.owner, name, parent);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(metadata) = context.metadata(id) else { return };
        if let (Some(name), Some(place)) = (renamed(metadata, |visitor| values.record(visitor)), self.find(id)) {
            TABLE.rename(place.index, name);
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        sys::arm_this_thread();
        let Some(place) = self.find(id) else { return };
        if !TABLE.is_resolved(place.index) {
            TABLE.resolve(place.index, own_ids());
        }
        stack::push(place);
        #[cfg(feature = "tasks")]
        crate::tasks::entered();
        if execution::active()
            && let Some(label) = TABLE.read(place)
        {
            execution::enter(label.name, place.id, label.span_id);
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if execution::active()
            && let Some(label) = self.find(id).and_then(|place| TABLE.read(place))
        {
            execution::exit(label.name, id.into_u64(), label.span_id);
        }
        stack::pop(id.into_u64(), self.owner);
        #[cfg(feature = "tasks")]
        crate::tasks::exited();
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        TABLE.remove(id.into_u64(), self.owner);
    }
}

/// The ids of the span that is being entered, unless OpenTelemetry does not know it. Then its context is still that of
/// the span around it, or of another process.
#[cfg(feature = "opentelemetry")]
fn own_ids() -> Option<Ids> {
    use opentelemetry::trace::TraceContextExt as _;

    let ids = opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        (context.is_valid() && !context.is_remote()).then(|| Ids {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        })
    })?;
    (current().is_none_or(|around| around.span_id != ids.span_id)).then_some(ids)
}

#[cfg(not(feature = "opentelemetry"))]
fn own_ids() -> Option<Ids> {
    let _ = current;
    None
}

/// The name that the values give to a span.
fn renamed(metadata: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) -> Option<NameId> {
    struct Visitor {
        field: Field,
        name: Option<NameId>,
    }
    impl Visit for Visitor {
        fn record_str(&mut self, field: &Field, value: &str) {
            if *field == self.field {
                self.name = Some(names::intern(value));
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if *field == self.field {
                self.name = Some(names::intern(&format!("{value:?}")));
            }
        }
    }
    let mut visitor = Visitor { field: metadata.fields().field(OTEL_NAME)?, name: None };
    record(&mut visitor);
    visitor.name
}

#[cfg(test)]
mod tests;
