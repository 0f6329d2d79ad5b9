//! Sends our requests with the stock exporters' machinery.
//!
//! The stock exporters are asked to send an empty request; below them, the transport swaps the body for ours: metrics
//! with their exemplars, or [`spans`], which are encoded here because it takes a fraction of the time. Each retry swaps in
//! the same bytes. The same transports read the answers, because the stock exporters log a partial success and report
//! success.

use std::io::Write;
use std::sync::Mutex;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod protobuf;
pub(crate) mod spans;

/// The request under way, encoded once; one at a time, since the SDK never exports concurrently.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    cargo: Mutex<Option<Cargo>>,
}

#[derive(Debug)]
struct Cargo {
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Carrier {
    fn cargo(&self) -> std::sync::MutexGuard<'_, Option<Cargo>> {
        self.cargo.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn load(&self, plain: Bytes) {
        *self.cargo() = Some(Cargo { plain, gzip: None });
    }

    pub(crate) fn unload(&self) {
        *self.cargo() = None;
    }

    /// The body of the request under way; `None` when there is none, and then nothing may be sent.
    fn plain(&self) -> Option<Bytes> {
        self.cargo().as_ref().map(|cargo| cargo.plain.clone())
    }

    /// The same, compressed at the first attempt and reused by the others.
    fn gzip(&self) -> Option<Bytes> {
        let mut cargo = self.cargo();
        let cargo = cargo.as_mut()?;
        if cargo.gzip.is_none() {
            cargo.gzip = gzip(&cargo.plain).ok();
        }
        cargo.gzip.clone()
    }
}

fn gzip(plain: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?.into())
}

/// Which answer to expect.
#[derive(Clone, Copy, Debug)]
enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// Whether a successful answer says that all was taken; an answer that cannot be read does not say so.
    fn took_all(self, answer: &[u8]) -> bool {
        match self {
            Self::Traces => ExportTraceServiceResponse::decode(answer)
                .is_ok_and(|answer| answer.partial_success.is_none_or(|partial| partial.rejected_spans == 0)),
            Self::Metrics => ExportMetricsServiceResponse::decode(answer)
                .is_ok_and(|answer| answer.partial_success.is_none_or(|partial| partial.rejected_data_points == 0)),
        }
    }
}
