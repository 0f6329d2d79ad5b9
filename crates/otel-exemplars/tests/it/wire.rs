//! Catches requests that differ from what the stock exporter would send, and retries that differ from each other.

use super::rig::{BOTH, Plan, Rig};
use otlp_testkit::{Answer, Protocol as Arrived, Signal};

use super::rig::Protocol;

#[test]
fn a_retry_carries_the_same_exemplars_headers_and_encoding() {
    for protocol in BOTH {
        for gzip in [false, true] {
            let rig = Rig::with(Plan { protocol, gzip, headers: vec![("x-tenant", "lab")], ..Plan::default() });
            let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
            rig.in_span("request", || histogram.record(3.0));
            rig.receiver.script(Signal::Metrics, [Answer::unavailable(), Answer::accept()]);
            rig.flush();

            let received = rig.receiver.received();
            assert!(received.faults.is_empty(), "{:?}", received.faults);
            assert_eq!(received.metrics.len(), 2, "{protocol:?}, gzip {gzip}");
            assert_eq!(received.metrics[0].request, received.metrics[1].request);
            for attempt in &received.metrics {
                assert_eq!(attempt.exemplars_of("h").len(), 1);
                assert_eq!(attempt.headers["x-tenant"], "lab");
                assert_eq!(attempt.gzip, gzip, "{protocol:?}");
                let expected = if protocol == Protocol::Grpc { Arrived::Grpc } else { Arrived::HttpProtobuf };
                assert_eq!(attempt.protocol, expected);
            }
            assert_eq!(rig.stats().shipped, 1, "{protocol:?}, gzip {gzip}");
        }
    }
}

#[test]
fn a_cut_connection_is_tried_again() {
    for protocol in BOTH {
        let rig = Rig::with(Plan { protocol, ..Plan::default() });
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.in_span("request", || histogram.record(3.0));
        rig.receiver.script(Signal::Traces, [Answer::close()]);
        rig.flush();
        assert_eq!((rig.receiver.received().traces.len(), rig.stats().shipped), (2, 1), "{protocol:?}");
    }
}

#[test]
fn a_request_without_exemplars_is_the_stock_one() {
    for protocol in BOTH {
        let rig = Rig::with(Plan { protocol, ..Plan::default() });
        rig.meter.f64_histogram("h").with_unit("s").with_description("how long").build().record(3.0, &[]);
        rig.meter.u64_counter("c").with_unit("{thing}").with_description("how many").build().add(2, &[]);
        rig.flush_metrics();
        let received = rig.receiver.received();
        let (histogram, counter) = (&received.metrics_named("h")[0], &received.metrics_named("c")[0]);
        assert_eq!((histogram.unit.as_str(), histogram.description.as_str()), ("s", "how long"));
        assert_eq!((counter.unit.as_str(), counter.description.as_str()), ("{thing}", "how many"));
        let resource = received.metrics[0].request.resource_metrics[0].resource.as_ref().unwrap();
        assert!(resource.attributes.iter().any(|a| a.key == "telemetry.sdk.name"), "{resource:?}");
    }
}

#[test]
fn a_large_request_passes_the_relay() {
    let rig = Rig::with(Plan { protocol: Protocol::Grpc, ..Plan::default() });
    let histogram = rig.meter.f64_histogram("h").build();
    for series in 0..1_500_i64 {
        rig.in_span("request", || histogram.record(3.0, &[opentelemetry::KeyValue::new("series", series)]));
    }
    rig.flush();
    assert_eq!(rig.exemplars_of("h").len(), 1_500, "several times the relay's buffer");
}

#[test]
fn an_unreachable_receiver_is_an_error_and_loses_nothing() {
    for protocol in BOTH {
        let rig = Rig::with(Plan { protocol, ..Plan::default() });
        rig.receiver.otherwise(Signal::Metrics, Answer::close());
        let histogram = rig.meter.f64_histogram("h").build().bind(&[]);
        rig.in_span("request", || histogram.record(3.0));
        rig.flush_spans();
        assert!(rig.meters.force_flush().is_err(), "{protocol:?}");
        assert_eq!(rig.stats().waiting, 1, "{protocol:?}");
    }
}
