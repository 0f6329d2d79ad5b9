//! OTLP/gRPC: the two services over the shared state.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::answer::Outcome;
use crate::received::Protocol;
use crate::server::{Compressed, MAX_BODY_BYTES};
use crate::shared::{Envelope, Hangup, Payload, Shared};

pub(crate) fn routes(shared: &Arc<Shared>) -> Routes {
    let traces = TraceServiceServer::new(Service(Arc::clone(shared)))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_BODY_BYTES);
    let metrics = MetricsServiceServer::new(Service(Arc::clone(shared)))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_BODY_BYTES);
    Routes::new(traces).add_service(metrics)
}

struct Service(Arc<Shared>);

impl Service {
    async fn answer<T: Payload>(&self, request: Request<T>) -> Result<Response<T::Response>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let headers = metadata.into_headers();
        let gzip = headers.get("grpc-encoding").is_some_and(|encoding| encoding == "gzip")
            && extensions.get::<Compressed>().is_some_and(Compressed::get);
        let hangup = extensions.get::<Hangup>().cloned().unwrap_or_default();
        let answer = self.0.arrive(Envelope { protocol: Protocol::Grpc, headers, gzip }, message);
        answer.due().await;
        match answer.outcome() {
            Outcome::Fail { grpc, .. } => Err(Status::new(*grpc, "the test's script says so")),
            outcome => match T::response(outcome) {
                Some(response) => Ok(Response::new(response)),
                None => hangup.cut().await,
            },
        }
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.answer(request).await
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.answer(request).await
    }
}
