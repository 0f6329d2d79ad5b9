//! Catches exemplars on the wrong data point, newer than it, or lost where views and limits change the points.

use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::metrics::Stream;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::{Answer, Signal, attribute};

use super::rig::{Plan, Rig, value};

#[test]
fn each_exemplar_hangs_on_the_point_of_its_attributes() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build();
    for (route, v) in [("/a", 1.0), ("/b", 2.0)] {
        rig.in_span("request", || {
            histogram.record(v, &[KeyValue::new("route", route), KeyValue::new("status", 200)]);
        });
    }
    rig.flush();
    let mut found: Vec<_> =
        rig.exemplars_of("h").iter().map(|e| (attribute(&e.attributes, "route").cloned().unwrap(), value(e))).collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let text = |s: &str| Value::StringValue(s.to_owned());
    assert_eq!(found, [(text("/a"), 1.0), (text("/b"), 2.0)]);
}

#[test]
fn no_exemplar_is_newer_than_its_point() {
    const ROUNDS: usize = 40;
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    let round = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                round.wait();
                (0..50).for_each(|_| drop(rig.in_span("request", || histogram.record(3.0))));
            }
        });
        for _ in 0..ROUNDS {
            round.wait();
            rig.flush();
        }
    });
    rig.flush();
    rig.flush();
    let found = rig.exemplars_of("h");
    assert!(found.len() > ROUNDS / 2, "{}", found.len());
    for exemplar in &found {
        assert!(exemplar.exemplar.time_unix_nano <= exemplar.point_time_unix_nano);
    }
    assert_eq!(rig.stats().shipped, found.len() as u64);
    assert_eq!(rig.stats().waiting, 0);
}

#[test]
fn a_view_that_drops_attributes_keeps_them_on_the_exemplar() {
    let view = |i: &opentelemetry_sdk::metrics::Instrument| {
        (i.name() == "h")
            .then(|| Stream::builder().with_allowed_attribute_keys([Key::new("route")]).build().ok())
            .flatten()
    };
    let rig = Rig::with(Plan { view: Some(view), ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0]).build();
    rig.in_span("request", || {
        histogram.record(0.5, &[KeyValue::new("route", "/a"), KeyValue::new("user", "x")]);
        histogram.record(3.0, &[KeyValue::new("route", "/a"), KeyValue::new("user", "y")]);
    });
    rig.flush();
    let found = rig.exemplars_of("h");
    let users: Vec<_> = found.iter().map(|e| attribute(&e.exemplar.filtered_attributes, "user").cloned()).collect();
    assert_eq!(users, ["x", "y"].map(|user| Some(Value::StringValue(user.to_owned()))));
    assert!(found.iter().all(|e| attribute(&e.attributes, "user").is_none()));
    let page = rig.scrape.render(Some("application/openmetrics-text")).unwrap().body;
    assert_eq!(page.matches("# {trace_id=").count(), 2, "{page}");
}

#[test]
fn a_view_that_renames_leaves_no_point_and_that_is_counted() {
    let view = |i: &opentelemetry_sdk::metrics::Instrument| {
        (i.name() == "h").then(|| Stream::builder().with_name("renamed").build().ok()).flatten()
    };
    let rig = Rig::with(Plan { view: Some(view), ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
    rig.in_span("request", || histogram.record(3.0));
    rig.flush();
    rig.flush_metrics();
    assert_eq!(rig.dropped("no_data_point"), 1);
}

#[test]
fn beyond_the_cardinality_limit_records_count_and_nothing_dangles() {
    let view = |i: &opentelemetry_sdk::metrics::Instrument| {
        (i.name() == "h").then(|| Stream::builder().with_cardinality_limit(2).build().ok()).flatten()
    };
    let rig = Rig::with(Plan { view: Some(view), ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build();
    for user in 0..5_i64 {
        rig.in_span("request", || histogram.record(3.0, &[KeyValue::new("user", user)]));
    }
    rig.flush();
    let stats = rig.stats();
    assert_eq!((stats.picked, stats.waiting), (5, 0));
    assert_eq!(stats.shipped + rig.dropped("no_data_point"), 5);
    assert!(rig.dropped("no_data_point") >= 3, "{stats:?}");
}

#[test]
fn series_beyond_the_bound_record_without_exemplars() {
    let settings = otel_exemplars::Exemplars::builder().with_max_series(2);
    let rig = Rig::with(Plan { settings, ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build();
    for user in 0..5_i64 {
        rig.in_span("request", || histogram.record(3.0, &[KeyValue::new("user", user)]));
    }
    rig.flush();
    use otlp_testkit::proto::metrics::v1::metric::Data;
    let Some(Data::Histogram(data)) = &rig.receiver.received().metrics_named("h")[0].data else { panic!() };
    assert_eq!((data.data_points.len(), rig.exemplars_of("h").len()), (5, 2));
}

#[test]
fn counters_and_negative_bounds_carry_exemplars() {
    let rig = Rig::new();
    let counter = rig.meter.u64_counter("c").build().bind(&[]);
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![-5.0, 0.0, 5.0]).build().bind(&[]);
    rig.in_span("request", || {
        counter.add(4);
        counter.add(5);
        [-9.0, -1.0, 1.0, 9.0].into_iter().for_each(|v| histogram.record(v));
    });
    rig.flush();
    assert_eq!(rig.exemplars_of("c").iter().map(value).collect::<Vec<_>>(), [4.0]);
    assert_eq!(rig.exemplars_of("h").iter().map(value).collect::<Vec<_>>(), [-9.0, -1.0, 1.0, 9.0]);
}

/// Prometheus walks up the buckets once: an exemplar that comes after one of a higher bucket lands in that bucket.
#[test]
fn exemplars_of_several_windows_ascend_by_bucket_then_by_time() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0, 5.0]).build().bind(&[]);
    rig.receiver.script(Signal::Metrics, [Answer::invalid()]);
    for window in [[4.0, 0.9], [2.0, 0.1]] {
        rig.in_span("request", || window.into_iter().for_each(|v| histogram.record(v)));
        rig.flush();
    }
    assert_eq!(rig.exemplars_of("h").iter().map(value).collect::<Vec<_>>(), [0.9, 0.1, 4.0, 2.0]);
}

#[test]
fn what_is_acknowledged_after_the_points_were_collected_waits_for_the_next_export() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0]).build().bind(&[]);
    let client = Arc::new(reqwest::blocking::Client::new());
    let endpoint = rig.receiver.http_endpoint_of(Signal::Metrics);
    let exporter = rig.exemplars.http_metric_exporter(client, |builder| builder.with_endpoint(endpoint)).unwrap();
    let export = |metrics: &ResourceMetrics| {
        // The blocking client does all its work in the first poll.
        pin!(exporter.export(metrics)).poll(&mut Context::from_waker(Waker::noop()))
    };
    let collect = || {
        let mut metrics = ResourceMetrics::default();
        rig.reader.collect(&mut metrics).unwrap();
        metrics
    };
    histogram.record(3.0);
    let before = collect();
    rig.in_span("request", || histogram.record(0.5));
    rig.flush_spans();
    assert!(matches!(export(&before), Poll::Ready(Ok(()))));
    assert_eq!((rig.exemplars_of("h").len(), rig.stats().waiting), (0, 1), "the point has not counted it");
    assert!(matches!(export(&collect()), Poll::Ready(Ok(()))));
    assert_eq!(rig.exemplars_of("h").len(), 1);
}
