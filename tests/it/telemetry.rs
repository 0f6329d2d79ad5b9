//! What a collector gets, over both protocols. Catches: spans without parents or kinds, exemplars that name no span,
//! spans of the exporter's own libraries, settings that do not reach the exporters.

use std::collections::HashSet;

use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::proto::trace::v1::Span;
use otlp_testkit::proto::trace::v1::span::SpanKind;
use otlp_testkit::{Answer, Gate, Received, Receiver, Signal, attribute};

use crate::client::PATIENCE;
use crate::server::Server;

/// A server whose exports come often.
fn exporting(receiver: &Receiver, protocol: &str, more: &[(&str, &str)]) -> Server {
    let endpoint = receiver.http_endpoint();
    let mut variables = vec![
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    variables.extend_from_slice(more);
    Server::start(&variables)
}

fn spans(received: &Received) -> Vec<Span> {
    received.spans().into_iter().map(|found| found.span).collect()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match attribute(&span.attributes, key)? {
        Value::StringValue(text) => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

fn a_request_becomes_spans_and_metrics_whose_exemplars_resolve(protocol: &str) {
    let receiver = Receiver::start().unwrap();
    let more = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-lab=a%20b"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue"),
    ];
    let server = exporting(&receiver, protocol, &more);
    let answer = server.get("/api/work?db_ms=2&items=5");
    let (trace, root) = answer.trace();
    let names = ["http.server.request.duration", "section.duration", "db.client.operation.duration"];
    let received = receiver
        .wait_for_blocking(PATIENCE, |received| names.iter().all(|name| !received.exemplars_of(name).is_empty()))
        .unwrap();
    server.stop();

    let spans = spans(&received);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    assert_eq!(spans.len(), 4, "no spans of libraries: {spans:?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == trace));
    let server_span = found("GET /api/work");
    assert_eq!((hex(&server_span.span_id), server_span.kind()), (root, SpanKind::Server));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/work"),
        ("url.path", "/api/work"),
        ("url.query", "db_ms=2&items=5"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(text(server_span, key), Some(value), "{key}");
    }
    assert_eq!(attribute(&server_span.attributes, "http.response.status_code"), Some(&Value::IntValue(200)));
    for (name, kind) in
        [("db_query", SpanKind::Client), ("cpu_loop", SpanKind::Internal), ("json_encode", SpanKind::Internal)]
    {
        let phase = found(name);
        assert_eq!((phase.kind(), &phase.parent_span_id), (kind, &server_span.span_id), "{name}");
        assert!(phase.start_time_unix_nano >= server_span.start_time_unix_nano, "{name}");
        assert!(phase.end_time_unix_nano <= server_span.end_time_unix_nano, "{name}");
    }
    for (key, value) in
        [("db.system.name", "sqlite"), ("db.operation.name", "SELECT"), ("db.collection.name", "products")]
    {
        assert_eq!(text(found("db_query"), key), Some(value), "{key}");
    }

    for name in names {
        for exemplar in received.exemplars_of(name) {
            let exemplar = exemplar.exemplar;
            let span = spans.iter().find(|span| span.span_id == exemplar.span_id).unwrap();
            assert_eq!(span.trace_id, exemplar.trace_id);
            assert_eq!(attribute(&span.attributes, "exemplar"), Some(&Value::BoolValue(true)), "{name}");
        }
        assert_eq!(received.metrics_named(name)[0].unit, "s", "{name}");
    }

    let export = &received.traces[0];
    assert_eq!(export.headers["x-lab"], "a b");
    assert!(export.gzip && received.metrics.iter().all(|export| export.gzip && export.headers["x-lab"] == "a b"));
    let resource = received.spans()[0].resource.clone().unwrap().attributes;
    let of_resource = |key: &str| attribute(&resource, key).unwrap_or_else(|| panic!("{key}"));
    assert_eq!(of_resource("service.name"), &Value::StringValue("phaselab".to_owned()));
    assert_eq!(of_resource("team"), &Value::StringValue("blue".to_owned()));
    of_resource("service.instance.id");
    of_resource("service.version");
}

#[test]
fn over_http() {
    a_request_becomes_spans_and_metrics_whose_exemplars_resolve("http/protobuf");
}

#[test]
fn over_grpc() {
    a_request_becomes_spans_and_metrics_whose_exemplars_resolve("grpc");
}

#[test]
fn refusals_and_failures_carry_their_error_type() {
    let receiver = Receiver::start().unwrap();
    let server = exporting(&receiver, "http/protobuf", &[("OTEL_METRICS_EXPORTER", "none")]);
    server.get("/api/work?items=x");
    server.get("/api/work?fail=json_encode");
    server.get("/nothing");
    server.stop();
    let spans = spans(&receiver.received());
    let with = |error_type: &str| -> Vec<_> {
        let ours = spans.iter().filter(|span| text(span, "error.type") == Some(error_type));
        let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
        ours.map(|span| (span.name.as_str(), status(span))).collect()
    };
    // A client's fault is no error of the server; a failed phase is one, and so is the request around it.
    assert_eq!(with("invalid_parameter"), [("GET /api/work", 0)]);
    assert_eq!(with("injected_failure"), [("json_encode", 2), ("GET /api/work", 2)]);
    assert_eq!(with("not_found"), [("GET", 0)]);
    let unknown = spans.iter().find(|span| span.name == "GET").unwrap();
    assert_eq!((text(unknown, "http.route"), text(unknown, "url.path")), (None, Some("/nothing")));
}

#[test]
fn a_method_nobody_knows_keeps_its_name_in_the_span_alone() {
    let receiver = Receiver::start().unwrap();
    let server = exporting(&receiver, "http/protobuf", &[("OTEL_METRICS_EXPORTER", "none")]);
    server.request("BREW", "/api/null", &[]);
    server.stop();
    let span = &spans(&receiver.received())[0];
    assert_eq!(span.name, "HTTP /api/null");
    assert_eq!(text(span, "http.request.method"), Some("_OTHER"));
    assert_eq!(text(span, "http.request.method_original"), Some("BREW"));
}

#[test]
fn spans_that_found_no_room_are_counted_at_the_end() {
    let receiver = Receiver::start().unwrap();
    let gate = Gate::new();
    receiver.otherwise(Signal::Traces, Answer::accept().when(&gate));
    let small =
        [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_BSP_MAX_QUEUE_SIZE", "2"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")];
    let server = exporting(&receiver, "http/protobuf", &small);
    for _ in 0..10 {
        server.get("/api/work");
    }
    gate.open();
    let log = server.stop();
    let dropped = |line: &serde_json::Value| line["fields"]["dropped_span_count"].as_u64();
    let dropped = log.lines().iter().find_map(dropped).unwrap_or_else(|| panic!("{:#?}", log.lines()));
    assert_eq!(receiver.received().spans().len() as u64 + dropped, 40);
}

#[test]
fn the_sampler_and_the_parent_decide_what_is_exported() {
    let receiver = Receiver::start().unwrap();
    let server = exporting(&receiver, "http/protobuf", &[("OTEL_METRICS_EXPORTER", "none")]);
    let parent = |flags: &str| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    server.request("GET", "/api/null?unsampled", &[("traceparent", &parent("00"))]);
    server.request("GET", "/api/null?sampled", &[("traceparent", &parent("01"))]);
    server.stop();
    let queries: Vec<_> =
        spans(&receiver.received()).iter().map(|span| text(span, "url.query").map(str::to_owned)).collect();
    assert_eq!(queries, [Some("sampled".to_owned())]);

    let receiver = Receiver::start().unwrap();
    let off = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "always_off")];
    let server = exporting(&receiver, "http/protobuf", &off);
    assert!(server.get("/api/null").header("traceresponse").unwrap().ends_with("-00"));
    server.stop();
    assert!(receiver.received().traces.is_empty());
}

#[test]
fn without_exemplars_nothing_is_marked_or_shipped() {
    let receiver = Receiver::start().unwrap();
    let server = exporting(&receiver, "http/protobuf", &[("PHASELAB_EXEMPLARS", "off")]);
    server.get("/api/work");
    server.stop();
    let received = receiver.received();
    assert!(!received.metrics_named("section.duration").is_empty());
    assert!(received.exemplars_of("section.duration").is_empty());
    assert!(spans(&received).iter().all(|span| attribute(&span.attributes, "exemplar").is_none()));
}

#[test]
fn each_process_has_its_own_instance_id() {
    let id = || {
        let server = Server::start(&[]);
        let info = server.series(&["target_info"]);
        info[0].split("service_instance_id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(HashSet::from([id(), id()]).len(), 2);
}
