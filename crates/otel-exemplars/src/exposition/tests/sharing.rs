//! Metrics that come to share a name: none may vanish without a word, and no reader may see the same series twice.

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;

use super::rig::{Fake, collect, collect_with, left_out, open_metrics, text, write};
use crate::exposition::Format::{OpenMetrics, Text};
use crate::exposition::left_out::Reason;

fn scopes(scopes: &[InstrumentationScope], record: impl Fn(usize, &Meter)) -> ResourceMetrics {
    collect(|provider| {
        for (index, scope) in scopes.iter().enumerate() {
            record(index, &provider.meter_with_scope(scope.clone()));
        }
    })
}

fn scope(name: &'static str) -> InstrumentationScope {
    InstrumentationScope::builder(name).build()
}

fn samples(page: &str) -> Vec<&str> {
    let mut samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    samples.sort_unstable();
    samples
}

#[test]
fn one_name_in_two_scopes_gets_scope_labels_and_other_names_do_not() {
    let metrics = scopes(&[scope("a"), scope("b")], |index, meter| {
        meter.u64_counter("jobs").with_description(if index == 0 { "" } else { "Jobs" }).build().add(1, &[]);
        meter.u64_counter(["only.a", "only.b"][index]).build().add(1, &[]);
    });
    let page = open_metrics(&metrics);
    assert_eq!(
        samples(&page),
        [
            "jobs_total{otel_scope_name=\"a\"} 1",
            "jobs_total{otel_scope_name=\"b\"} 1",
            "only_a_total 1",
            "only_b_total 1"
        ]
    );
    assert_eq!(page.matches("# TYPE jobs counter").count(), 1);
    assert!(page.contains("# HELP jobs Jobs\n"), "the first description that is none too many: {page}");
    let lines: Vec<_> = page.lines().collect();
    let jobs = |line: &&str| line.starts_with("jobs_total");
    let first = lines.iter().position(jobs).unwrap();
    assert!(jobs(&lines[first + 1]), "the family's samples are in one piece: {page}");
    assert_eq!(samples(&text(&metrics)), samples(&page));
}

#[test]
fn scopes_of_one_name_are_told_apart_by_what_differs() {
    let builder = || InstrumentationScope::builder("a");
    let table = [
        (
            [builder().with_version("1").build(), builder().with_version("2").build()],
            ["version=\"1\"", "version=\"2\""],
        ),
        (
            [builder().build(), builder().with_schema_url("https://x/1").build()],
            ["name=\"a\"}", "schema_url=\"https://x/1\""],
        ),
        (
            [
                builder().with_attributes([KeyValue::new("b.c", 1)]).build(),
                builder().with_attributes([KeyValue::new("b.c", 2)]).build(),
            ],
            ["b_c=\"1\"", "b_c=\"2\""],
        ),
    ];
    for (both, expected) in table {
        let page = open_metrics(&scopes(&both, |_, meter| meter.u64_counter("jobs").build().add(1, &[])));
        for label in expected {
            assert_eq!(page.matches(&format!("otel_scope_{label}")).count(), 1, "{page}");
        }
        assert_eq!(samples(&page).len(), 2);
    }
}

#[test]
fn names_that_become_equal_share_a_family() {
    let metrics = scopes(&[scope("a")], |_, meter| {
        meter.f64_gauge("queue.size").build().record(1.0, &[KeyValue::new("q", "x")]);
        meter.i64_up_down_counter("queue_size").build().add(2, &[KeyValue::new("q", "y")]);
    });
    let page = open_metrics(&metrics);
    assert_eq!(page, "# TYPE queue_size gauge\nqueue_size{q=\"x\"} 1\nqueue_size{q=\"y\"} 2\n# EOF\n");
}

#[test]
fn of_two_series_with_the_same_labels_the_first_stays() {
    let metrics = scopes(&[scope("a")], |_, meter| {
        meter.f64_gauge("queue.size").build().record(1.0, &[KeyValue::new("q.a", "x"), KeyValue::new("b", "c")]);
        meter.f64_gauge("queue_size").build().record(2.0, &[KeyValue::new("b", "c"), KeyValue::new("q_a", "x")]);
        meter.f64_gauge("queue_size").build().record(3.0, &[]);
    });
    for format in [OpenMetrics, Text] {
        let (page, out) = write(format, &metrics, &Fake::default());
        assert_eq!(samples(&page), ["queue_size 3", "queue_size{b=\"c\",q_a=\"x\"} 1"]);
        assert_eq!(out, [left_out("queue_size", Reason::SameSeries { labels: "b=\"c\",q_a=\"x\"".into() })]);
    }
}

/// The SDK keeps scopes in a hash map; were its order used, the winner would change from process to process.
#[test]
fn of_two_types_under_one_name_the_first_stays() {
    for _ in 0..20 {
        let metrics = scopes(&[scope("b"), scope("a"), scope("c"), scope("d")], |index, meter| match index {
            1 => meter.f64_histogram("x").with_boundaries(vec![]).build().record(1.0, &[]),
            _ => meter.f64_gauge("x").build().record(1.0, &[]),
        });
        for format in [OpenMetrics, Text] {
            let (page, out) = write(format, &metrics, &Fake::default());
            assert_eq!(samples(&page), ["x_bucket{le=\"+Inf\"} 1", "x_count 1", "x_sum 1"]);
            assert_eq!(out, [0; 3].map(|_| left_out("x", Reason::OtherType { name: "x".into() })));
        }
    }
}

#[test]
fn a_name_that_another_family_uses_for_its_samples_is_taken() {
    let metrics = scopes(&[scope("a")], |_, meter| {
        meter.f64_histogram("x").with_boundaries(vec![]).build().record(1.0, &[]);
        meter.f64_gauge("x.count").build().record(9.0, &[]);
    });
    for format in [OpenMetrics, Text] {
        let (page, out) = write(format, &metrics, &Fake::default());
        assert_eq!(samples(&page), ["x_bucket{le=\"+Inf\"} 1", "x_count 1", "x_sum 1"]);
        assert_eq!(out, [left_out("x.count", Reason::NameTaken { name: "x_count".into() })]);
    }
}

/// In OpenMetrics the counter `x` is the family `x`, although its series is `x_total`.
#[test]
fn a_counter_gives_way_to_a_gauge_of_its_name_without_losing_its_series() {
    for counter_first in [true, false] {
        let metrics = scopes(&[scope("a")], |_, meter| {
            if counter_first {
                meter.u64_counter("x").build().add(5, &[]);
            }
            meter.f64_gauge("x").build().record(9.0, &[]);
            if !counter_first {
                meter.u64_counter("x").build().add(5, &[]);
            }
        });
        let (page, out) = write(OpenMetrics, &metrics, &Fake::of("x", &[1.0]));
        assert_eq!(samples(&page), ["x 9", "x_total 5"]);
        assert!(page.contains("# TYPE x gauge\n") && page.contains("# TYPE x_total unknown\n"), "{page}");
        assert!(!page.contains("trace_id"), "only typed counters may have exemplars: {page}");
        assert_eq!(out, [left_out("x", Reason::Untyped { name: "x_total".into() })]);
        assert!(text(&metrics).contains("# TYPE x_total counter\n"));
    }
}

#[test]
fn a_counter_called_total_has_no_family_name() {
    let metrics = scopes(&[scope("a")], |_, meter| meter.u64_counter("total").build().add(5, &[]));
    let (page, out) = write(OpenMetrics, &metrics, &Fake::default());
    assert_eq!(page, "# TYPE total unknown\ntotal 5\n# EOF\n");
    assert_eq!(out, [left_out("total", Reason::Untyped { name: "total".into() })]);
    assert_eq!(text(&metrics), "# TYPE total counter\ntotal 5\n");
}

#[test]
fn nobody_takes_the_name_of_the_target() {
    let metrics = collect_with(
        Temporality::Cumulative,
        |builder| builder.with_resource(Resource::builder_empty().with_service_name("lab").build()),
        |provider| {
            provider.meter("lab").f64_gauge("target").build().record(1.0, &[]);
            provider.meter("lab").f64_gauge("target.info").build().record(1.0, &[]);
        },
    );
    let (page, out) = write(OpenMetrics, &metrics, &Fake::default());
    assert_eq!(samples(&page), ["target_info{service_name=\"lab\"} 1"]);
    let taken = |metric, name: &str| left_out(metric, Reason::NameTaken { name: name.into() });
    assert_eq!(out, [taken("target", "target"), taken("target.info", "target_info")]);
    let (page, _) = write(Text, &metrics, &Fake::default());
    assert_eq!(samples(&page), ["target 1", "target_info{service_name=\"lab\"} 1"]);
}

#[test]
fn attributes_without_a_label_name_are_told_of() {
    let metrics = scopes(&[scope("a")], |_, meter| {
        meter.u64_counter("x").build().add(5, &[KeyValue::new("", "1"), KeyValue::new("a", "b")]);
    });
    let (page, out) = write(OpenMetrics, &metrics, &Fake::default());
    assert_eq!(samples(&page), ["x_total{a=\"b\"} 5"]);
    assert_eq!(out, [left_out("x", Reason::NoLabelName)]);
}
