//! Waiting ends with what arrives, or with the timeout, and never looks at the clock of the test's own runtime.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use otlp_testkit::{Protocol, Receiver, Signal};

use crate::clients::{PATIENCE, emit_span, tracer};

#[test]
fn a_thread_waits_for_what_arrives() {
    let receiver = Receiver::start().unwrap();
    let exporter =
        SpanExporter::builder().with_http().with_endpoint(receiver.http_endpoint_of(Signal::Traces)).build().unwrap();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
    let sender = std::thread::spawn(move || emit_span(&provider));
    let received = receiver.wait_for_blocking(PATIENCE, |received| !received.traces.is_empty()).unwrap();
    assert!(received.span_by_id(sender.join().unwrap()).is_some());
}

#[test]
fn a_thread_gives_up_in_time() {
    let receiver = Receiver::start().unwrap();
    let error = receiver.wait_for_blocking(Duration::from_millis(10), |_| false).unwrap_err();
    assert_eq!(error.to_string(), "not within 10ms; arrived: 0 trace and 0 metric exports, faults: []");
}

#[tokio::test(start_paused = true)]
async fn a_task_on_a_paused_clock_still_waits_for_real() {
    let receiver = Receiver::start().unwrap();
    let provider = tracer(&receiver, Protocol::HttpProtobuf);
    let sender = std::thread::spawn(move || {
        let id = emit_span(&provider);
        provider.force_flush().unwrap();
        id
    });
    let received = receiver.wait_for(PATIENCE, |received| !received.traces.is_empty()).await.unwrap();
    assert!(received.span_by_id(sender.join().unwrap()).is_some());
    assert!(receiver.wait_for(Duration::from_millis(10), |_| false).await.is_err());
}

#[test]
fn a_receiver_leaves_nothing_behind() {
    let receiver = Receiver::start().unwrap();
    let address = receiver.address();
    drop(receiver);
    // Somebody else's connection may have the port for a moment.
    let started = Instant::now();
    while let Err(error) = TcpListener::bind(address) {
        assert!(started.elapsed() < PATIENCE, "{error}");
    }
}
