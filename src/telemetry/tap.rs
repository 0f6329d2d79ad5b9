//! Who inside the process hears of spans and exemplars, beside those that they are exported to.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_exemplars::PickedExemplar;

/// Hears of telemetry on the thread that makes it: it must neither block nor take long.
pub trait Tap: std::fmt::Debug + Send + Sync {
    /// A span has ended. Spans of traces that are not sampled are not recorded, so they do not come here.
    fn ended(&self, span: &SpanData);

    /// An exemplar was picked; its span is marked.
    fn picked(&self, exemplar: &PickedExemplar<'_>);
}

/// Shows each ended span to a tap and then gives it to the processor that exports, where there is one.
///
/// One processor in place of two: for a second one the SDK would clone every span.
#[derive(Debug)]
pub(crate) struct Tapped<P> {
    tap: Option<Arc<dyn Tap>>,
    inner: Option<P>,
}

impl<P> Tapped<P> {
    pub(crate) fn new(tap: Option<Arc<dyn Tap>>, inner: Option<P>) -> Self {
        Self { tap, inner }
    }
}

impl<P: SpanProcessor> SpanProcessor for Tapped<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if let Some(inner) = &self.inner {
            inner.on_start(span, context);
        }
    }

    fn on_end(&self, span: SpanData) {
        if let Some(tap) = &self.tap {
            tap.ended(&span);
        }
        if let Some(inner) = &self.inner {
            inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.as_ref().map_or(Ok(()), SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.as_ref().map_or(Ok(()), |inner| inner.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(inner) = &mut self.inner {
            inner.set_resource(resource);
        }
    }
}
