//! OTLP/gRPC on the channel of the service, behind a relay inside the process.
//!
//! tonic's `Channel` cannot be wrapped: what the stock exporter takes is that type alone, and its interceptors see no
//! bodies. So the stock exporter gets a channel whose connector hands out one end of an in-memory pipe. At the other
//! end an HTTP/2 server passes each call on to the real channel, as bytes: it swaps the message,
//! reads the answer for rejections, and leaves headers, trailers and status as they are.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, MetricExporterBuilder, SpanExporter, SpanExporterBuilder,
    TonicExporterBuilderSet, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

use super::{Carrier, Signal};
use crate::acknowledge::{AcknowledgingExporter, Rejections};
use crate::hub::Exemplars;
use crate::metric_exporter::ExemplarMetricExporter;

/// The pipe's buffer in bytes; HTTP/2 frames flow through it, so it bounds memory, not messages.
const PIPE_BYTES: usize = 64 * 1024;
/// The flag and the length before each gRPC message (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;
/// Answers are a few bytes; more than this is not one of ours to understand.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

#[derive(Clone)]
struct Relay {
    channel: Channel,
    signal: Signal,
    rejections: Rejections,
    carrier: Arc<Carrier>,
}

impl Relay {
    /// The channel for the stock exporter.
    fn channel(self, timeout: Duration) -> Channel {
        let connector = tower_service_fn(move |_: Uri| {
            let relay = self.clone();
            async move {
                let (near, far) = tokio::io::duplex(PIPE_BYTES);
                let serve = service_fn(move |request| {
                    let relay = relay.clone();
                    async move { Ok::<_, Infallible>(relay.call(request).await.unwrap_or_else(Status::into_http)) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // Ends with the connection, when the exporter is dropped or shut down.
                tokio::spawn(server.serve_connection(TokioIo::new(far), serve));
                Ok::<_, Infallible>(TokioIo::new(near))
            }
        });
        Endpoint::from_static("http://otel-exemplars.invalid").timeout(timeout).connect_with_connector_lazy(connector)
    }

    async fn call(mut self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let request = self.outgoing(request).await?;
        let unavailable = |error: tonic::transport::Error| Status::unavailable(describe(&error));
        poll_fn(|cx| self.channel.poll_ready(cx)).await.map_err(unavailable)?;
        let response = self.channel.call(request).await.map_err(unavailable)?;
        let (head, body) = response.into_parts();
        let answer = body.collect().await?;
        let trailers = answer.trailers().cloned();
        let answer = answer.to_bytes();
        let succeeded = grpc_ok(&head.headers) || trailers.as_ref().is_some_and(grpc_ok);
        if succeeded && !message(&answer).is_some_and(|message| self.signal.took_all(&message)) {
            self.rejections.report();
        }
        let trailers = trailers.map(Ok::<_, Infallible>);
        let body = Full::new(answer).with_trailers(async move { trailers });
        Ok(Response::from_parts(head, Body::new(body)))
    }

    async fn outgoing(&self, request: Request<Incoming>) -> Result<Request<Body>, Status> {
        let (mut head, body) = request.into_parts();
        // The real channel adds scheme and authority of the real endpoint.
        let path = head.uri.path_and_query().cloned().ok_or_else(|| Status::internal("a call without a path"))?;
        head.uri = path.into();
        let gzip = head.headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip");
        let message = if gzip { self.carrier.gzip() } else { self.carrier.plain() };
        let message = message.ok_or_else(|| Status::aborted("no request is under way"))?;
        // The empty request goes unread; its stream must still end before the answer does.
        body.collect().await.map_err(|error| Status::internal(describe(&error)))?;
        Ok(Request::from_parts(head, Body::new(Full::new(frame(gzip, &message)?))))
    }
}

fn frame(compressed: bool, message: &[u8]) -> Result<Bytes, Status> {
    let length = u32::try_from(message.len())
        .map_err(|_| Status::resource_exhausted(format!("{} bytes do not fit a gRPC message", message.len())))?;
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(u8::from(compressed));
    frame.put_u32(length);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// The one message of a unary answer.
fn message(answer: &Bytes) -> Option<Bytes> {
    let compressed = *answer.first()? != 0;
    let message = answer.get(PREFIX_BYTES..)?;
    if !compressed {
        return Some(Bytes::copy_from_slice(message));
    }
    let mut plain = Vec::new();
    GzDecoder::new(message).take(MAX_ANSWER_BYTES).read_to_end(&mut plain).ok()?;
    Some(plain.into())
}

fn grpc_ok(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| status == "0")
}

/// An error with its causes: tonic's own message is only "transport error".
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(|cause| format!(": {cause}"));
    std::iter::once(error.to_string()).chain(causes).collect()
}

use tonic_connector::tower_service_fn;

/// A `tower::Service` from a function, to spare the dependency on `tower`.
mod tonic_connector {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tonic::codegen::Service;

    #[derive(Clone)]
    pub(super) struct ServiceFn<F>(F);

    pub(super) fn tower_service_fn<F>(f: F) -> ServiceFn<F> {
        ServiceFn(f)
    }

    impl<F, Request, Fut, R, E> Service<Request> for ServiceFn<F>
    where
        F: FnMut(Request) -> Fut,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        type Response = R;
        type Error = E;
        type Future = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request) -> Self::Future {
            Box::pin((self.0)(request))
        }
    }
}

impl Exemplars {
    /// A span exporter over OTLP/gRPC that acknowledges, on a channel of yours.
    ///
    /// Endpoint, TLS and connect timeout are the channel's; `timeout` bounds each attempt. `configure` gets the stock
    /// builder for compression, metadata and retries, which also reads the `OTEL_EXPORTER_OTLP_*` variables for these.
    ///
    /// # Errors
    ///
    /// What the stock builder reports.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, which must live as long as the exporter.
    pub fn grpc_span_exporter(
        &self,
        channel: Channel,
        timeout: Duration,
        configure: impl FnOnce(SpanExporterBuilder<TonicExporterBuilderSet>) -> SpanExporterBuilder<TonicExporterBuilderSet>,
    ) -> Result<AcknowledgingExporter<SpanExporter>, ExporterBuildError> {
        let (rejections, carrier) = (Rejections::default(), Arc::new(Carrier::default()));
        let relay =
            Relay { channel, signal: Signal::Traces, rejections: rejections.clone(), carrier: Arc::clone(&carrier) };
        let exporter = configure(SpanExporter::builder().with_tonic().with_timeout(timeout))
            .with_channel(relay.channel(timeout))
            .build()?;
        Ok(AcknowledgingExporter::carried(self.clone(), exporter, carrier, rejections))
    }

    /// A metric exporter over OTLP/gRPC that carries exemplars, on a channel of yours.
    ///
    /// Endpoint, TLS and connect timeout are the channel's; `timeout` bounds each attempt. `configure` gets the stock
    /// builder for compression, metadata and retries, which also reads the `OTEL_EXPORTER_OTLP_*` variables for these.
    ///
    /// # Errors
    ///
    /// What the stock builder reports.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, which must live as long as the exporter.
    pub fn grpc_metric_exporter(
        &self,
        channel: Channel,
        timeout: Duration,
        configure: impl FnOnce(
            MetricExporterBuilder<TonicExporterBuilderSet>,
        ) -> MetricExporterBuilder<TonicExporterBuilderSet>,
    ) -> Result<ExemplarMetricExporter, ExporterBuildError> {
        let (rejections, carrier) = (Rejections::default(), Arc::new(Carrier::default()));
        let relay =
            Relay { channel, signal: Signal::Metrics, rejections: rejections.clone(), carrier: Arc::clone(&carrier) };
        let exporter = configure(MetricExporter::builder().with_tonic().with_timeout(timeout))
            .with_temporality(Temporality::Cumulative)
            .with_channel(relay.channel(timeout))
            .build()?;
        Ok(ExemplarMetricExporter::new(self.clone(), exporter, carrier, rejections))
    }
}
