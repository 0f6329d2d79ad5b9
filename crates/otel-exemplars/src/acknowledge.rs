//! The span exporter that tells which spans arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::Value;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

#[cfg(any(feature = "http", feature = "grpc"))]
use crate::carrier::{Carrier, spans};
use crate::exemplar::SpanKey;
use crate::hub::{Exemplars, MARK};
use crate::stats::DropReason;

/// What an exported span says about its exemplars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    marked: bool,
    ended: SystemTime,
}

impl Settlement {
    fn of(span: &SpanData) -> Self {
        let mark = |attribute: &opentelemetry::KeyValue| {
            attribute.key.as_str() == MARK && attribute.value == Value::Bool(true)
        };
        Self { marked: span.attributes.iter().any(mark), ended: span.end_time }
    }

    /// Whether the mark is sure to reach the tail sampler before it decides.
    pub(crate) fn verdict(self, now: SystemTime, limit: Duration) -> Result<(), DropReason> {
        if !self.marked {
            return Err(DropReason::MarkLost);
        }
        if now.duration_since(self.ended).unwrap_or_default() > limit {
            return Err(DropReason::Late);
        }
        Ok(())
    }
}

/// Whether the transport saw that a part of the current batch was rejected.
///
/// Stock exporters log a partial success and return `Ok`, so the transport below them must tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rejections(Arc<AtomicBool>);

impl Rejections {
    pub(crate) fn report(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Wraps a span exporter: exemplars leave only after their span's export succeeded.
#[derive(Debug)]
pub struct AcknowledgingExporter<E> {
    inner: E,
    exemplars: Exemplars,
    rejections: Rejections,
    #[cfg(any(feature = "http", feature = "grpc"))]
    carried: Option<Carried>,
}

/// What it takes to send the spans below a stock exporter instead of through it.
#[cfg(any(feature = "http", feature = "grpc"))]
#[derive(Debug)]
struct Carried {
    carrier: Arc<Carrier>,
    resource: Resource,
}

impl<E: SpanExporter> AcknowledgingExporter<E> {
    /// For a stock exporter, whose transport swaps the request.
    #[cfg(any(feature = "http", feature = "grpc"))]
    pub(crate) fn carried(exemplars: Exemplars, inner: E, carrier: Arc<Carrier>, rejections: Rejections) -> Self {
        let resource = Resource::builder_empty().build();
        Self { inner, exemplars, rejections, carried: Some(Carried { carrier, resource }) }
    }

    async fn send(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        #[cfg(any(feature = "http", feature = "grpc"))]
        if let Some(Carried { carrier, resource }) = &self.carried {
            carrier.load(spans::request(resource, &batch));
            drop(batch);
            let result = self.inner.export(Vec::new()).await;
            carrier.unload();
            return result;
        }
        self.inner.export(batch).await
    }
}

impl Exemplars {
    /// Wraps an exporter whose `Ok` means that the whole batch was taken.
    ///
    /// The stock OTLP exporters also return `Ok` for a partial success. Use
    /// [`http_span_exporter`](Self::http_span_exporter) or [`grpc_span_exporter`](Self::grpc_span_exporter) for them,
    /// which see the answer itself.
    pub fn acknowledging<E: SpanExporter>(&self, exporter: E) -> AcknowledgingExporter<E> {
        AcknowledgingExporter {
            inner: exporter,
            exemplars: self.clone(),
            rejections: Rejections::default(),
            #[cfg(any(feature = "http", feature = "grpc"))]
            carried: None,
        }
    }
}

impl<E: SpanExporter> SpanExporter for AcknowledgingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let hub = &self.exemplars.0;
        let awaited = hub.room.awaited(batch.iter().map(|span| {
            let ids = &span.span_context;
            (SpanKey { trace_id: ids.trace_id(), span_id: ids.span_id() }, Settlement::of(span))
        }));
        self.rejections.take();
        let result = self.send(batch).await;
        let exported = match (&result, self.rejections.take()) {
            (Err(_), _) => Err(DropReason::SpanExportFailed),
            (Ok(()), true) => Err(DropReason::PartialSuccess),
            (Ok(()), false) => Ok(()),
        };
        hub.settle(awaited, exported);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        #[cfg(any(feature = "http", feature = "grpc"))]
        if let Some(carried) = &mut self.carried {
            carried.resource = resource.clone();
        }
        self.inner.set_resource(resource);
    }
}
