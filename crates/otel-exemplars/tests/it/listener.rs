//! Catches a store inside the process that hears of exemplars late, twice, or of those that were not picked.

use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use otel_exemplars::Exemplars;

use super::rig::{Plan, Rig};

#[test]
fn the_listener_hears_of_what_was_picked_at_once_and_of_nothing_else() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&heard);
    let settings = Exemplars::builder().with_listener(move |picked| {
        let attributes: Vec<_> = picked.attributes.iter().map(|one| format!("{}={}", one.key, one.value)).collect();
        let text = format!("{} {attributes:?} {} {}", picked.metric, picked.value, picked.span_id);
        to.lock().unwrap().push(text);
    });
    let rig = Rig::with(Plan { settings, ..Plan::default() });
    let histogram = rig.meter.f64_histogram("Latency").with_boundaries(vec![1.0]).build();
    let record = |value| histogram.record(value, &[KeyValue::new("b", 2), KeyValue::new("a", 1)]);
    record(0.5);
    let first = rig.in_span("request", || [0.25, 0.75, f64::NAN].into_iter().for_each(record));
    let second = rig.in_span("request", || record(7.0));
    let expected =
        [("0.25", first), ("7", second)].map(|(value, span)| format!("Latency [\"a=1\", \"b=2\"] {value} {span}"));
    assert_eq!(*heard.lock().unwrap(), expected, "before any export");
}

#[test]
fn what_is_collected_for_a_store_is_what_leaves() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("latency").with_boundaries(vec![1.0]).build();
    histogram.record(0.5, &[]);
    for _ in 0..2 {
        let metrics = rig.scrape.collect().unwrap();
        assert!(format!("{metrics:?}").contains("latency"), "{metrics:?}");
    }
    rig.flush_metrics();
    assert!(format!("{:?}", rig.receiver.received()).contains("latency"));
}
