//! What has arrived, and the questions tests ask about it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::HeaderMap;
use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Gauge, Metric, Sum, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::answer::{Answer, Outcome};

/// The two ways OTLP arrives here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    HttpProtobuf,
}

/// One request as it arrived; a retry is another attempt.
#[derive(Clone, Debug)]
pub struct Attempt<T> {
    /// How it came.
    pub protocol: Protocol,
    /// HTTP headers or gRPC metadata.
    pub headers: HeaderMap,
    /// Whether the body was compressed with gzip (it is decoded in `request`).
    pub gzip: bool,
    /// When it had arrived in full, for differences.
    pub arrived: Instant,
    /// When it had arrived in full, for comparison with timestamps in the data.
    pub arrived_at: SystemTime,
    /// The decoded message.
    pub request: T,
    /// What the script says to it (perhaps later).
    pub answer: Answer,
}

impl<T> Attempt<T> {
    /// Whether the answer is a full success.
    pub fn accepted(&self) -> bool {
        *self.answer.outcome() == Outcome::Accept
    }
}

/// Everything that has arrived so far; a cheap copy that does not change any more.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Every attempt to export spans, in order of arrival.
    pub traces: Vec<Arc<Attempt<ExportTraceServiceRequest>>>,
    /// Every attempt to export metrics, in order of arrival.
    pub metrics: Vec<Arc<Attempt<ExportMetricsServiceRequest>>>,
    /// Requests that could not be understood, in words.
    pub faults: Vec<String>,
}

/// A span with where it came from.
#[derive(Clone, Debug)]
pub struct FoundSpan {
    /// The resource that reported it.
    pub resource: Option<Resource>,
    /// The instrumentation scope that recorded it.
    pub scope: Option<InstrumentationScope>,
    /// The span.
    pub span: Span,
}

/// An exemplar with the data point it hangs on.
#[derive(Clone, Debug)]
pub struct FoundExemplar {
    /// Attributes of the data point.
    pub attributes: Vec<KeyValue>,
    /// Time of the data point, nanoseconds since 1970.
    pub point_time_unix_nano: u64,
    /// Bucket boundaries of the data point; empty where it is no explicit-bounds histogram.
    pub bounds: Vec<f64>,
    /// The exemplar.
    pub exemplar: Exemplar,
}

impl Received {
    /// All spans of fully accepted attempts, in order of arrival: what a trace store would hold.
    pub fn spans(&self) -> Vec<FoundSpan> {
        let accepted = self.traces.iter().filter(|attempt| attempt.accepted());
        let mut found = Vec::new();
        for resource in accepted.flat_map(|attempt| &attempt.request.resource_spans) {
            for scope in &resource.scope_spans {
                found.extend(scope.spans.iter().map(|span| FoundSpan {
                    resource: resource.resource.clone(),
                    scope: scope.scope.clone(),
                    span: span.clone(),
                }));
            }
        }
        found
    }

    /// The span with this id, from fully accepted attempts.
    pub fn span_by_id(&self, id: SpanId) -> Option<FoundSpan> {
        self.spans().into_iter().find(|found| found.span.span_id == id.to_bytes())
    }

    /// Every state of the metric `name` from fully accepted attempts, oldest first.
    pub fn metrics_named(&self, name: &str) -> Vec<Metric> {
        self.metrics
            .iter()
            .filter(|attempt| attempt.accepted())
            .flat_map(|attempt| metrics_in(&attempt.request))
            .filter(|metric| metric.name == name)
            .cloned()
            .collect()
    }

    /// All exemplars of the metric `name` from fully accepted attempts, in order of arrival.
    pub fn exemplars_of(&self, name: &str) -> Vec<FoundExemplar> {
        self.metrics_named(name).iter().flat_map(exemplars_in).collect()
    }
}

impl Attempt<ExportMetricsServiceRequest> {
    /// The exemplars of the metric `name` in this attempt.
    pub fn exemplars_of(&self, name: &str) -> Vec<FoundExemplar> {
        metrics_in(&self.request).filter(|metric| metric.name == name).flat_map(exemplars_in).collect()
    }
}

/// The value of the attribute `key`, if it is there.
pub fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn metrics_in(request: &ExportMetricsServiceRequest) -> impl Iterator<Item = &Metric> {
    request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics)
}

fn exemplars_in(metric: &Metric) -> Vec<FoundExemplar> {
    let mut found = Vec::new();
    let mut point = |attributes: &[KeyValue], time: u64, bounds: &[f64], exemplars: &[Exemplar]| {
        found.extend(exemplars.iter().map(|exemplar| FoundExemplar {
            attributes: attributes.to_vec(),
            point_time_unix_nano: time,
            bounds: bounds.to_vec(),
            exemplar: exemplar.clone(),
        }));
    };
    match &metric.data {
        Some(metric::Data::Histogram(data)) => {
            for p in &data.data_points {
                point(&p.attributes, p.time_unix_nano, &p.explicit_bounds, &p.exemplars);
            }
        }
        Some(metric::Data::ExponentialHistogram(data)) => {
            for p in &data.data_points {
                point(&p.attributes, p.time_unix_nano, &[], &p.exemplars);
            }
        }
        Some(metric::Data::Sum(Sum { data_points, .. }) | metric::Data::Gauge(Gauge { data_points })) => {
            for p in data_points {
                point(&p.attributes, p.time_unix_nano, &[], &p.exemplars);
            }
        }
        // A summary carries no exemplars.
        Some(metric::Data::Summary(_)) | None => {}
    }
    found
}
