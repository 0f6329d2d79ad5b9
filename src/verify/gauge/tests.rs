//! The gauge as a collector gets it: one point per outcome, that of the last round.

use std::collections::{BTreeMap, HashMap};

use opentelemetry_sdk::Resource;
use otlp_testkit::proto::common::v1::any_value::Value as Any;
use otlp_testkit::proto::metrics::v1::metric::Data;
use otlp_testkit::proto::metrics::v1::number_data_point::Value;
use otlp_testkit::{Receiver, attribute};

use super::*;
use crate::verify::prometheus::{Exemplar, Labels};
use crate::verify::resolve::Verdict;

fn report(outcomes: &[Outcome]) -> Report {
    let verdict = |outcome: &Outcome| {
        let exemplar = Exemplar {
            metric: "a".to_owned(),
            series: Labels::new(),
            bucket: None,
            value: 1.0,
            timestamp: 0.0,
            trace_id: String::new(),
            span_id: String::new(),
        };
        Verdict { exemplar, outcome: *outcome, asks: 1, error: None }
    };
    Report::new(String::new(), "", (0.0, 0.0), Vec::new(), outcomes.iter().map(verdict).collect())
}

/// The points that arrive after `show`, by result; those at zero are left out.
async fn shown(protocol: &str, show: impl FnOnce(&RoundGauge)) -> BTreeMap<String, i64> {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let variables = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("HOME", "/"),
    ]);
    let (config, _) = Config::read(&variables, &[]).unwrap();
    let gauge = RoundGauge::start(&config, Resource::builder_empty().build()).unwrap();
    show(&gauge);
    tokio::task::spawn_blocking(move || gauge.stop()).await.unwrap();

    let metrics = receiver.received().metrics_named("verify.exemplars");
    let Some(Data::Gauge(data)) = &metrics.last().unwrap().data else { panic!("no gauge: {metrics:?}") };
    assert_eq!(data.data_points.len(), Outcome::ALL.len());
    let point = |point: &otlp_testkit::proto::metrics::v1::NumberDataPoint| {
        let Some(Any::StringValue(result)) = attribute(&point.attributes, "result") else { panic!("{point:?}") };
        let Some(Value::AsInt(count)) = point.value else { panic!("{point:?}") };
        (count > 0).then(|| (result.clone(), count))
    };
    data.data_points.iter().filter_map(point).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_sees_the_last_round() {
    use Outcome::{AskFailed, NotFound, Resolved};
    for protocol in ["grpc", "http/protobuf"] {
        let counts = shown(protocol, |gauge| {
            gauge.show(&report(&[Outcome::Unmarked, Resolved]));
            gauge.show(&report(&[Resolved, Resolved, NotFound, AskFailed]));
        });
        let expected = [("ask_failed".to_owned(), 1), ("not_found".to_owned(), 1), ("resolved".to_owned(), 2)];
        assert_eq!(counts.await, BTreeMap::from(expected), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_cannot_begin_does_not_leave_the_last_one_standing() {
    let counts = shown("http/protobuf", |gauge| {
        gauge.show(&report(&[Outcome::Resolved]));
        gauge.show_failure();
    });
    assert_eq!(counts.await, BTreeMap::from([("ask_failed".to_owned(), 1)]));
}
