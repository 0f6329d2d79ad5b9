//! Whole pages, line by line.

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream, Temporality};

use super::rig::{Fake, collect, collect_with, exemplar, left_out, open_metrics, text, write};
use crate::exposition::Format::{OpenMetrics, Text};
use crate::exposition::left_out::Reason;

fn one_of_each() -> ResourceMetrics {
    let resource =
        Resource::builder_empty().with_service_name("lab").with_attribute(KeyValue::new("host.name", "a\"b"));
    collect_with(
        Temporality::Cumulative,
        |builder| builder.with_resource(resource.build()),
        |provider| {
            let meter = provider.meter("lab");
            let requests = meter.u64_counter("requests").with_description("say \"hi\"\\\nthere").build();
            requests.add(3, &[KeyValue::new("http.route", "/a")]);
            requests.add(1, &[KeyValue::new("http.route", "/b\n")]);
            meter.i64_up_down_counter("memory.usage").with_unit("By").build().add(-5, &[]);
            meter.f64_gauge("hit").with_unit("1").build().record(0.25, &[]);
            let duration = meter.f64_histogram("duration").with_unit("s").with_boundaries(vec![0.5, 1.0, 2500000.0]);
            let duration = duration.build();
            for value in [0.25, 0.5, 0.75, 5.0, 1e7] {
                duration.record(value, &[KeyValue::new("section", "db")]);
            }
        },
    )
}

#[test]
fn open_metrics_page() {
    let expected = r##"# TYPE target info
# HELP target Target metadata
target_info{host_name="a\"b",service_name="lab"} 1
# TYPE requests counter
# HELP requests say \"hi\"\\\nthere
requests_total{http_route="/a"} 3
requests_total{http_route="/b\n"} 1
# TYPE memory_usage_bytes gauge
# UNIT memory_usage_bytes bytes
memory_usage_bytes -5
# TYPE hit_ratio gauge
hit_ratio 0.25
# TYPE duration_seconds histogram
# UNIT duration_seconds seconds
duration_seconds_bucket{section="db",le="0.5"} 2
duration_seconds_bucket{section="db",le="1.0"} 3
duration_seconds_bucket{section="db",le="2.5e+06"} 4
duration_seconds_bucket{section="db",le="+Inf"} 5
duration_seconds_sum{section="db"} 10000006.5
duration_seconds_count{section="db"} 5
# EOF
"##;
    assert_eq!(in_order(&open_metrics(&one_of_each())), expected);
}

#[test]
fn text_page() {
    let expected = r##"# HELP target_info Target metadata
# TYPE target_info gauge
target_info{host_name="a\"b",service_name="lab"} 1
# TYPE requests_total counter
# HELP requests_total say "hi"\\\nthere
requests_total{http_route="/a"} 3
requests_total{http_route="/b\n"} 1
# TYPE memory_usage_bytes gauge
memory_usage_bytes -5
# TYPE hit_ratio gauge
hit_ratio 0.25
# TYPE duration_seconds histogram
duration_seconds_bucket{section="db",le="0.5"} 2
duration_seconds_bucket{section="db",le="1.0"} 3
duration_seconds_bucket{section="db",le="2.5e+06"} 4
duration_seconds_bucket{section="db",le="+Inf"} 5
duration_seconds_sum{section="db"} 10000006.5
duration_seconds_count{section="db"} 5
"##;
    assert_eq!(in_order(&text(&one_of_each())), expected);
}

/// The SDK hands out a metric's points in any order, so the counter's two lines are sorted here.
fn in_order(page: &str) -> String {
    let mut lines: Vec<&str> = page.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("requests_total{")).unwrap();
    lines[first..first + 2].sort_unstable();
    lines.join("\n") + "\n"
}

#[test]
fn nothing_recorded_is_an_empty_page() {
    let nothing = collect(|provider| drop(provider.meter("lab").u64_counter("never").build()));
    assert_eq!(open_metrics(&nothing), "# EOF\n");
    assert_eq!(text(&nothing), "");
}

fn histogram(bounds: &[f64], values: &[f64]) -> ResourceMetrics {
    collect(|provider| {
        let histogram = provider.meter("lab").f64_histogram("h").with_boundaries(bounds.to_vec()).build();
        values.iter().for_each(|value| histogram.record(*value, &[]));
    })
}

#[test]
fn an_exemplar_is_in_the_bucket_that_counted_it_and_in_no_other() {
    let metrics = histogram(&[1.0, 2.0, 3.0], &[0.5, 1.0, 2.5, 9.0]);
    let (page, _) = write(OpenMetrics, &metrics, &Fake::of("h", &[1.0, 2.5, 9.0]));
    let ids = r#"{trace_id="00000000000000000000000000000007",span_id="0000000000000007"}"#;
    let expected = format!(
        "# TYPE h histogram\n\
         h_bucket{{le=\"1.0\"}} 2 # {ids} 1 1700000000.007000\n\
         h_bucket{{le=\"2.0\"}} 2\n\
         h_bucket{{le=\"3.0\"}} 3 # {ids} 2.5 1700000000.007000\n\
         h_bucket{{le=\"+Inf\"}} 4 # {ids} 9 1700000000.007000\n\
         h_sum 13\n\
         h_count 4\n\
         # EOF\n"
    );
    assert_eq!(page, expected);
    let (page, _) = write(Text, &metrics, &Fake::of("h", &[1.0, 2.5, 9.0]));
    assert!(!page.contains("trace_id"), "text 0.0.4 has no exemplars: {page}");
}

#[test]
fn of_two_exemplars_in_one_bucket_the_newer_stays() {
    let metrics = histogram(&[1.0], &[0.5, 0.6]);
    for order in [[exemplar(0.5, 1), exemplar(0.6, 2)], [exemplar(0.6, 2), exemplar(0.5, 1)]] {
        let (page, _) = write(OpenMetrics, &metrics, &Fake([("h".to_owned(), order.to_vec())].into()));
        assert_eq!(page.matches("trace_id").count(), 1);
        assert!(page.contains("h_bucket{le=\"1.0\"} 2 # {trace_id=\"00000000000000000000000000000002\""), "{page}");
    }
}

#[test]
fn an_exemplar_that_is_not_counted_yet_or_is_no_number_is_not_shown() {
    let metrics = histogram(&[1.0, 2.0], &[0.5]);
    let (page, _) = write(OpenMetrics, &metrics, &Fake::of("h", &[1.5, f64::NAN]));
    assert!(!page.contains("trace_id"), "{page}");
    let (page, _) = write(OpenMetrics, &histogram(&[], &[]), &Fake::of("h", &[1.5]));
    assert!(!page.contains("trace_id"), "{page}");
}

#[test]
fn without_bounds_there_is_the_last_bucket() {
    let (page, _) = write(OpenMetrics, &histogram(&[], &[4.0, 5.0]), &Fake::of("h", &[4.0]));
    assert!(page.contains("h_bucket{le=\"+Inf\"} 2 # {trace_id="), "{page}");
    assert!(page.contains("h_sum 9\nh_count 2\n"), "{page}");
}

#[test]
fn a_sum_that_may_fall_is_on_the_text_page_only() {
    for metrics in [histogram(&[-1.0, 1.0], &[3.0]), histogram(&[1.0], &[-3.0])] {
        let page = open_metrics(&metrics);
        assert!(page.contains("h_bucket{le=\"+Inf\"} 1\n"), "{page}");
        assert!(!page.contains("h_sum") && !page.contains("h_count"), "{page}");
        let page = text(&metrics);
        assert!(page.contains("h_sum ") && page.contains("h_count 1\n"), "{page}");
    }
}

#[test]
fn counters_carry_their_exemplar() {
    let metrics = collect(|provider| provider.meter("lab").u64_counter("c").build().add(4, &[KeyValue::new("a", "b")]));
    let (page, _) = write(OpenMetrics, &metrics, &Fake::of("c", &[2.0]));
    let expected = "c_total{a=\"b\"} 4 # {trace_id=\"00000000000000000000000000000007\",\
                    span_id=\"0000000000000007\"} 2 1700000000.007000\n";
    assert!(page.contains(expected), "{page}");
    let (page, _) = write(Text, &metrics, &Fake::of("c", &[2.0]));
    assert!(page.contains("c_total{a=\"b\"} 4\n"), "{page}");
}

#[test]
fn gauges_have_none() {
    let metrics = collect(|provider| provider.meter("lab").f64_gauge("g").build().record(4.0, &[]));
    let (page, _) = write(OpenMetrics, &metrics, &Fake::of("g", &[4.0]));
    assert!(page.contains("g 4.0\n") || page.contains("g 4\n"), "{page}");
    assert!(!page.contains("trace_id"), "{page}");
}

#[test]
fn a_counter_that_is_no_count_is_on_the_text_page_only() {
    let metrics = collect(|provider| provider.meter("lab").f64_counter("c").build().add(-1.0, &[]));
    let (page, out) = write(OpenMetrics, &metrics, &Fake::default());
    assert!(!page.contains("c_total"), "{page}");
    assert_eq!(out, [left_out("c", Reason::NotACount { value: "-1".into() })]);
    assert!(text(&metrics).contains("c_total -1\n"));
}

#[test]
fn the_unit_is_shown_only_where_the_name_ends_with_it() {
    let metrics = collect(|provider| {
        let meter = provider.meter("lab");
        meter.f64_gauge("request.seconds.max").with_unit("s").build().record(1.0, &[]);
        meter.f64_counter("cpu").with_unit("s").build().add(1.0, &[]);
        meter.f64_gauge("seconds").with_unit("s").build().record(1.0, &[]);
        meter.f64_gauge("io").with_unit("By/s").build().record(1.0, &[]);
    });
    let page = open_metrics(&metrics);
    let units: Vec<_> = page.lines().filter(|line| line.starts_with("# UNIT")).collect();
    assert_eq!(units, ["# UNIT cpu_seconds seconds", "# UNIT io_bytes_per_second bytes_per_second"]);
}

#[test]
fn what_text_cannot_hold_is_left_out_and_told() {
    let metrics = collect_with(
        Temporality::Delta,
        |builder| builder.with_resource(Resource::builder_empty().build()),
        |provider| {
            let meter = provider.meter("lab");
            meter.u64_counter("c").build().add(1, &[]);
            meter.u64_histogram("h").build().record(1, &[]);
            meter.i64_up_down_counter("u").build().add(1, &[]);
        },
    );
    let (page, out) = write(OpenMetrics, &metrics, &Fake::default());
    assert_eq!(page, "# TYPE u gauge\nu 1\n# EOF\n");
    assert_eq!(out, [left_out("c", Reason::DeltaTemporality), left_out("h", Reason::DeltaTemporality)]);

    let metrics = collect_with(
        Temporality::Cumulative,
        |builder| {
            builder.with_resource(Resource::builder_empty().build()).with_view(|_: &Instrument| {
                let aggregation =
                    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
                Stream::builder().with_aggregation(aggregation).build().ok()
            })
        },
        |provider| provider.meter("lab").f64_histogram("h").build().record(1.0, &[]),
    );
    let (page, out) = write(Text, &metrics, &Fake::default());
    assert_eq!(page, "");
    assert_eq!(out, [left_out("h", Reason::ExponentialHistogram)]);
}

#[test]
fn each_reason_says_what_to_do() {
    let name = || "x".to_owned();
    for reason in [
        Reason::DeltaTemporality,
        Reason::ExponentialHistogram,
        Reason::NoName,
        Reason::OtherType { name: name() },
        Reason::NameTaken { name: name() },
        Reason::Untyped { name: name() },
        Reason::NoLabelName,
        Reason::SameSeries { labels: name() },
        Reason::NotACount { value: name() },
    ] {
        let text = reason.to_string();
        assert!(text.contains(": use ") || text.contains(": rename ") || text.contains(": record "), "{text}");
    }
}
