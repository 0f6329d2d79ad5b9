//! Catches `/metrics` showing what was not acknowledged, or disturbing what leaves over OTLP.

use super::rig::Rig;

const OPEN_METRICS: Option<&str> = Some("application/openmetrics-text; version=1.0.0");

#[test]
fn metrics_shows_acknowledged_exemplars_only() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("latency").with_unit("s").with_boundaries(vec![1.0]).build().bind(&[]);
    let id = rig.in_span("request", || histogram.record(0.5));
    let page = rig.scrape.render(OPEN_METRICS).unwrap();
    assert!(!page.body.contains("trace_id"), "{}", page.body);
    rig.flush_spans();
    let page = rig.scrape.render(OPEN_METRICS).unwrap();
    let line = page.body.lines().find(|line| line.starts_with("latency_seconds_bucket{le=\"1.0\"}")).unwrap();
    assert!(line.contains(&format!("span_id=\"{id}\"")), "{line}");
    let text = rig.scrape.render(Some("text/plain")).unwrap();
    assert!(!text.body.contains("trace_id"), "the text format has no exemplars");
}

#[test]
fn scrapes_and_exports_do_not_take_from_each_other() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("latency").with_unit("s").build().bind(&[]);
    rig.in_span("request", || histogram.record(0.5));
    rig.flush_spans();
    for _ in 0..2 {
        assert_eq!(rig.scrape.render(OPEN_METRICS).unwrap().body.matches("trace_id").count(), 1);
    }
    rig.flush_metrics();
    assert_eq!(rig.exemplars_of("latency").len(), 1);
    assert_eq!(rig.scrape.render(OPEN_METRICS).unwrap().body.matches("trace_id").count(), 1);
}

#[test]
fn a_reader_without_a_provider_is_an_error() {
    let rig = Rig::new();
    let lonely = opentelemetry_sdk::metrics::ManualReader::builder().build();
    assert!(rig.exemplars.exposition(lonely).render(None).is_err());
}
