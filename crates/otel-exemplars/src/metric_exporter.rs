//! The metric exporter whose requests carry exemplars.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;

use crate::acknowledge::Rejections;
use crate::carrier::Carrier;
use crate::hub::{Exemplars, Hub};
use crate::inject;
use crate::stats::DropReason;

/// Exports metrics over OTLP with their exemplars; temporality is always cumulative, which Prometheus needs.
///
/// The SDK offers no way to put an exemplar into its data, so this exporter builds the request itself and lets the
/// stock exporter send it: endpoint, headers, compression, timeout and retries are the stock ones.
pub struct ExemplarMetricExporter {
    exemplars: Exemplars,
    stock: MetricExporter,
    carrier: Arc<Carrier>,
    rejections: Rejections,
}

impl ExemplarMetricExporter {
    pub(crate) fn new(
        exemplars: Exemplars,
        stock: MetricExporter,
        carrier: Arc<Carrier>,
        rejections: Rejections,
    ) -> Self {
        exemplars.0.pushes.store(true, Ordering::Relaxed);
        Self { exemplars, stock, carrier, rejections }
    }
}

impl fmt::Debug for ExemplarMetricExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExemplarMetricExporter").finish_non_exhaustive()
    }
}

impl PushMetricExporter for ExemplarMetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let hub = &self.exemplars.0;
        hub.advance();
        let mut request = ExportMetricsServiceRequest::from(metrics);
        let shipment = hub.load(metrics, &mut request);
        self.carrier.load(request.encode_to_vec().into());
        drop(request);
        self.rejections.take();
        // The carrier replaces the body of this empty request, once per attempt.
        let result = self.stock.export(&ResourceMetrics::default()).await;
        self.carrier.unload();
        let rejected = self.rejections.take();
        match &result {
            Err(_) => hub.keep(shipment),
            Ok(()) if rejected => hub.counters.dropped(DropReason::PointsRejected, shipment.len()),
            Ok(()) => hub.counters.shipped(shipment.len()),
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.stock.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.stock.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl Hub {
    /// Puts what is acknowledged into the request, and returns it so that a failed export can keep it.
    fn load(&self, metrics: &ResourceMetrics, request: &mut ExportMetricsServiceRequest) -> Vec<crate::room::Picked> {
        let shipment = inject::load(&self.registry.read(), metrics, request, self.outbox.take());
        self.counters.dropped(DropReason::NoDataPoint, shipment.homeless.len());
        self.keep(shipment.early);
        shipment.loaded
    }

    /// Keeps exemplars for the next export.
    fn keep(&self, picked: Vec<crate::room::Picked>) {
        let over = self.outbox.put(picked);
        self.counters.dropped(DropReason::OutboxFull, over);
    }
}
