//! The span processor that knows which traces began in another process.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfig, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use crate::hub::Exemplars;
use crate::sync::{Mutex, lock};

/// Traces with a remote parent that are remembered at once; 65,536 requests in flight, 2 MiB.
const MAX_REMOTE_TRACES: usize = 65_536;

/// The traces that began elsewhere and have a span of this process under way.
#[derive(Debug, Default)]
pub(crate) struct RemoteTraces(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Open spans with a remote parent, by trace.
    open: HashMap<TraceId, u32>,
    /// Open spans with a remote parent that found no room. While there is one, every trace counts as remote: better no
    /// exemplar than one that may dangle.
    untracked: u64,
}

impl RemoteTraces {
    pub(crate) fn contains(&self, trace: TraceId) -> bool {
        let known = lock(&self.0);
        known.untracked > 0 || known.open.contains_key(&trace)
    }

    fn opened(&self, trace: TraceId) {
        let mut known = lock(&self.0);
        if known.open.len() >= MAX_REMOTE_TRACES && !known.open.contains_key(&trace) {
            known.untracked += 1;
        } else {
            *known.open.entry(trace).or_default() += 1;
        }
    }

    fn closed(&self, trace: TraceId) {
        let mut known = lock(&self.0);
        match known.open.get_mut(&trace) {
            Some(spans) if *spans > 1 => *spans -= 1,
            Some(_) => {
                known.open.remove(&trace);
            }
            None => known.untracked = known.untracked.saturating_sub(1),
        }
    }
}

/// Wraps a span processor and watches for remote parents.
///
/// It is a wrapper, not a second processor, because the SDK clones every ended span for a second one.
#[derive(Debug)]
pub struct ExemplarSpanProcessor<P> {
    inner: P,
    exemplars: Exemplars,
}

impl Exemplars {
    /// A batch processor whose exporter acknowledges: give it what
    /// [`http_span_exporter`](Self::http_span_exporter), [`grpc_span_exporter`](Self::grpc_span_exporter) or
    /// [`acknowledging`](Self::acknowledging) returned.
    pub fn span_processor<E: SpanExporter + 'static>(
        &self,
        exporter: crate::AcknowledgingExporter<E>,
        config: BatchConfig,
    ) -> ExemplarSpanProcessor<BatchSpanProcessor> {
        self.watching(BatchSpanProcessor::new(exporter, config))
    }

    /// Wraps any span processor that exports through an [`AcknowledgingExporter`](crate::AcknowledgingExporter).
    pub fn watching<P: SpanProcessor>(&self, processor: P) -> ExemplarSpanProcessor<P> {
        ExemplarSpanProcessor { inner: processor, exemplars: self.clone() }
    }
}

impl<P: SpanProcessor> SpanProcessor for ExemplarSpanProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if context.has_active_span() {
            let parent = context.span();
            let parent = parent.span_context();
            if parent.is_valid() && parent.is_remote() {
                self.exemplars.0.remote.opened(parent.trace_id());
            }
        }
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.parent_span_is_remote {
            self.exemplars.0.remote.closed(span.span_context.trace_id());
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_remote_while_one_of_its_spans_is_open() {
        let traces = RemoteTraces::default();
        let trace = TraceId::from(7);
        traces.opened(trace);
        traces.opened(trace);
        traces.closed(trace);
        assert!(traces.contains(trace));
        traces.closed(trace);
        assert!(!traces.contains(trace));
    }

    #[test]
    fn without_room_every_trace_counts_as_remote() {
        let traces = RemoteTraces::default();
        for trace in 1..=MAX_REMOTE_TRACES + 1 {
            traces.opened(TraceId::from(trace as u128));
        }
        let local = TraceId::from(u128::MAX);
        assert!(traces.contains(local));
        traces.closed(TraceId::from(MAX_REMOTE_TRACES as u128 + 1));
        assert!(!traces.contains(local));
    }
}
