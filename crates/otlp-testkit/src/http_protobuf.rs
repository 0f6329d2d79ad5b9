//! OTLP/HTTP with protobuf bodies.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::answer::Outcome;
use crate::received::Protocol;
use crate::server::MAX_BODY_BYTES;
use crate::shared::{Envelope, Hangup, Payload, Shared};

const PROTOBUF: &str = "application/x-protobuf";

/// Answers one request; what cannot be understood becomes a fault that tests can assert on.
pub(crate) async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    let line = format!("{} {}", request.method(), request.uri().path());
    let answered = match line.as_str() {
        "POST /v1/traces" => export::<ExportTraceServiceRequest>(request, shared).await,
        "POST /v1/metrics" => export::<ExportMetricsServiceRequest>(request, shared).await,
        _ => Err((StatusCode::NOT_FOUND, "no such method and path".to_owned())),
    };
    answered.unwrap_or_else(|(status, why)| {
        shared.fault(format!("{line}: {why}"));
        reply(status, "text/plain", why.into())
    })
}

async fn export<T: Payload>(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
) -> Result<Response<Full<Bytes>>, (StatusCode, String)> {
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    if content_type.is_none_or(|value| value != PROTOBUF) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("content type {content_type:?} is not {PROTOBUF}")));
    }
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(bad)?.to_bytes();
    let gzip = match parts.headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("content encoding {other} is not gzip")));
        }
    };
    let message = T::decode(if gzip { gunzip(&body).map_err(bad)? } else { body }).map_err(bad)?;

    let hangup = parts.extensions.get::<Hangup>().cloned().unwrap_or_default();
    let envelope = Envelope { protocol: Protocol::HttpProtobuf, headers: parts.headers, gzip };
    let answer = shared.arrive(envelope, message);
    answer.due().await;
    match answer.outcome() {
        Outcome::Fail { http, .. } => Ok(reply(*http, "text/plain", "the test's script says so".into())),
        outcome => match T::response(outcome) {
            Some(response) => Ok(reply(StatusCode::OK, PROTOBUF, response.encode_to_vec().into())),
            None => hangup.cut().await,
        },
    }
}

fn gunzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).take(MAX_BODY_BYTES as u64).read_to_end(&mut plain)?;
    Ok(plain.into())
}

fn bad(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
