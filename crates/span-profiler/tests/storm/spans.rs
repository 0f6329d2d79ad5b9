//! Spans whose ids follow from each other, so that a label which mixes two of them is seen.

use std::cell::RefCell;

use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags};
use opentelemetry::{Context, ContextGuard};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The name of every root.
pub(crate) const ROOT: &str = "request";

/// The names of spans by the last digit of their id.
const NAMES: [&str; 5] = [ROOT, "query", "compute", "encode", "wait"];

/// The lower digits of an id say which span of the request it is.
const BITS: u32 = 4;

/// A span by its id.
pub(crate) struct Span(u64);

impl Span {
    /// The span of a request, by name.
    fn new(request: u64, name: &str) -> Self {
        let which = NAMES.iter().position(|known| *known == name).unwrap();
        Self(request << BITS | u64::try_from(which).unwrap())
    }

    pub(crate) fn of(span_id: &str) -> Self {
        Self(u64::from_str_radix(span_id, 16).unwrap())
    }

    pub(crate) fn name(&self) -> &'static str {
        NAMES[usize::try_from(self.0 & ((1 << BITS) - 1)).unwrap()]
    }

    pub(crate) fn root(&self) -> String {
        format!("{:016x}", self.0 >> BITS << BITS)
    }

    pub(crate) fn trace(&self) -> String {
        format!("{:032x}", self.trace_id())
    }

    fn trace_id(&self) -> u128 {
        let request = self.0 >> BITS;
        u128::from(!request) << 64 | u128::from(request)
    }
}

/// In place of `tracing-opentelemetry`: makes a context with such ids current while a span with a field `request` is entered.
pub(crate) struct Ids;

thread_local! {
    static ATTACHED: RefCell<Vec<(u64, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

struct Request(Option<u64>);

impl Visit for Request {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "request" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ids {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut request = Request(None);
        attributes.record(&mut request);
        if let (Some(request), Some(span)) = (request.0, context.span(id)) {
            span.extensions_mut().insert(Span::new(request, attributes.metadata().name()));
        }
    }

    fn on_enter(&self, id: &Id, context: LayerContext<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let extensions = span.extensions();
        let Some(ids) = extensions.get::<Span>() else { return };
        let context = SpanContext::new(ids.trace_id().into(), ids.0.into(), TraceFlags::SAMPLED, false, Default::default());
        let guard = Context::new().with_remote_span_context(context).attach();
        ATTACHED.with_borrow_mut(|attached| attached.push((id.into_u64(), guard)));
    }

    fn on_exit(&self, id: &Id, _: LayerContext<'_, S>) {
        let guard = ATTACHED.with_borrow_mut(|attached| {
            let at = attached.iter().rposition(|(known, _)| *known == id.into_u64())?;
            Some(attached.remove(at))
        });
        drop(guard);
    }
}
