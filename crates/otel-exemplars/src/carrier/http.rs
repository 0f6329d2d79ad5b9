//! OTLP/HTTP on the HTTP client of the service.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, HttpExporterBuilderSet, MetricExporter, MetricExporterBuilder, Protocol, SpanExporter,
    SpanExporterBuilder, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::metrics::Temporality;

use super::{Carrier, Signal};
use crate::acknowledge::{AcknowledgingExporter, Rejections};
use crate::hub::Exemplars;
use crate::metric_exporter::ExemplarMetricExporter;

/// The client that the stock exporter gets.
#[derive(Debug)]
struct Transport {
    inner: Arc<dyn HttpClient>,
    signal: Signal,
    rejections: Rejections,
    carrier: Arc<Carrier>,
}

#[async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let gzip = request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        let body = if gzip {
            self.carrier.gzip()
        } else {
            // No encoding was asked for, or one that is not ours to make: receivers always take plain bodies.
            request.headers_mut().remove(CONTENT_ENCODING);
            self.carrier.plain()
        };
        *request.body_mut() = body.ok_or("no request is under way")?;
        let response = self.inner.send_bytes(request).await?;
        if response.status().is_success() && !self.signal.took_all(response.body()) {
            self.rejections.report();
        }
        Ok(response)
    }
}

impl Exemplars {
    /// A span exporter over OTLP/HTTP (protobuf) that acknowledges.
    ///
    /// `configure` gets the stock builder, which also reads the `OTEL_EXPORTER_OTLP_*` variables. The client applies
    /// its own timeout, and must work without a reactor: the SDK's batch processor runs it on a plain thread.
    ///
    /// # Errors
    ///
    /// What the stock builder reports.
    pub fn http_span_exporter(
        &self,
        client: Arc<dyn HttpClient>,
        configure: impl FnOnce(SpanExporterBuilder<HttpExporterBuilderSet>) -> SpanExporterBuilder<HttpExporterBuilderSet>,
    ) -> Result<AcknowledgingExporter<SpanExporter>, ExporterBuildError> {
        let (rejections, carrier) = (Rejections::default(), Arc::new(Carrier::default()));
        let transport = Transport {
            inner: client,
            signal: Signal::Traces,
            rejections: rejections.clone(),
            carrier: Arc::clone(&carrier),
        };
        let exporter = configure(SpanExporter::builder().with_http())
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(transport)
            .build()?;
        Ok(AcknowledgingExporter::carried(self.clone(), exporter, carrier, rejections))
    }

    /// A metric exporter over OTLP/HTTP (protobuf) that carries exemplars.
    ///
    /// `configure` gets the stock builder, which also reads the `OTEL_EXPORTER_OTLP_*` variables. The client applies
    /// its own timeout, and must work without a reactor: the SDK's periodic reader runs it on a plain thread.
    ///
    /// # Errors
    ///
    /// What the stock builder reports.
    pub fn http_metric_exporter(
        &self,
        client: Arc<dyn HttpClient>,
        configure: impl FnOnce(
            MetricExporterBuilder<HttpExporterBuilderSet>,
        ) -> MetricExporterBuilder<HttpExporterBuilderSet>,
    ) -> Result<ExemplarMetricExporter, ExporterBuildError> {
        let (rejections, carrier) = (Rejections::default(), Arc::new(Carrier::default()));
        let transport = Transport {
            inner: client,
            signal: Signal::Metrics,
            rejections: rejections.clone(),
            carrier: Arc::clone(&carrier),
        };
        let exporter = configure(MetricExporter::builder().with_http())
            .with_protocol(Protocol::HttpBinary)
            .with_temporality(Temporality::Cumulative)
            .with_http_client(transport)
            .build()?;
        Ok(ExemplarMetricExporter::new(self.clone(), exporter, carrier, rejections))
    }
}
