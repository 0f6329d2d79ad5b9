//! What an exporter sends is what the receiver shows, for both protocols: ids, attributes, headers, compression.

use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::proto::metrics::v1::metric::Data;
use otlp_testkit::{Protocol, Receiver, attribute};

use crate::clients::{emit_record, emit_span, meter, tracer};

fn span_arrives(protocol: Protocol) {
    let receiver = Receiver::start().unwrap();
    let provider = tracer(&receiver, protocol);
    let id = emit_span(&provider);
    provider.force_flush().unwrap();

    let received = receiver.received();
    assert_eq!(received.faults, Vec::<String>::new());
    assert_eq!(received.traces.len(), 1);
    let attempt = &received.traces[0];
    assert_eq!(attempt.protocol, protocol);
    assert!(attempt.gzip, "headers: {:?}", attempt.headers);
    assert_eq!(attempt.headers["x-tenant"], "a");
    let found = received.span_by_id(id).unwrap();
    assert_eq!(found.span.name, "one");
    assert_eq!(found.scope.unwrap().name, "clients");
    assert_eq!(attribute(&found.span.attributes, "exemplar"), Some(&Value::BoolValue(true)));
    assert!(attribute(&found.resource.unwrap().attributes, "service.name").is_some());
}

fn metric_arrives(protocol: Protocol) {
    let receiver = Receiver::start().unwrap();
    let provider = meter(&receiver, protocol);
    emit_record(&provider);
    provider.force_flush().unwrap();

    let received = receiver.received();
    assert_eq!(received.faults, Vec::<String>::new());
    assert!(!received.metrics[0].gzip);
    let metrics = received.metrics_named("waiting");
    assert_eq!((metrics.len(), metrics[0].unit.as_str()), (1, "s"));
    let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("not a histogram: {metrics:?}") };
    assert_eq!(histogram.data_points[0].count, 1);
    assert!(received.metrics_named("other").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_arrives_by_grpc() {
    tokio::task::block_in_place(|| span_arrives(Protocol::Grpc));
}

#[test]
fn a_span_arrives_by_http() {
    span_arrives(Protocol::HttpProtobuf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_arrives_by_grpc() {
    tokio::task::block_in_place(|| metric_arrives(Protocol::Grpc));
}

#[test]
fn a_metric_arrives_by_http() {
    metric_arrives(Protocol::HttpProtobuf);
}
