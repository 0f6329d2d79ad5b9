//! Catches a second exemplar per bucket and window: each one keeps a whole trace.

use std::sync::Barrier;

use super::rig::{Rig, value};

#[test]
fn the_first_record_of_a_bucket_wins_until_the_next_export() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0, 5.0]).build().bind(&[]);
    for v in [3.0, 4.0, 0.5, 9.0, 0.7] {
        rig.in_span("request", || histogram.record(v));
    }
    rig.flush();
    assert_eq!(rig.exemplars_of("h").iter().map(value).collect::<Vec<_>>(), [0.5, 3.0, 9.0], "bucket by bucket");
    rig.receiver.forget();
    rig.in_span("request", || histogram.record(4.0));
    rig.flush();
    assert_eq!(rig.exemplars_of("h").iter().map(value).collect::<Vec<_>>(), [4.0]);
    assert_eq!(rig.stats().picked, 4);
}

#[test]
fn many_threads_mark_one_trace_per_bucket_and_window() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").with_boundaries(vec![1.0]).build().bind(&[]);
    for _ in 0..20 {
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    rig.in_span("request", || histogram.record(0.5));
                });
            }
        });
        rig.flush();
    }
    assert_eq!((rig.stats().picked, rig.exemplars_of("h").len()), (20, 20));
}

#[test]
fn bound_handles_of_one_series_share_its_slots() {
    let rig = Rig::new();
    let histogram = rig.meter.f64_histogram("h").build();
    let attributes = [opentelemetry::KeyValue::new("a", 1), opentelemetry::KeyValue::new("b", 2)];
    rig.in_span("request", || {
        histogram.bind(&attributes).record(3.0);
        histogram.record(3.0, &[attributes[1].clone(), attributes[0].clone()]);
    });
    rig.flush();
    assert_eq!(rig.exemplars_of("h").len(), 1);
}
