//! The receiver's own HTTP/2 stack must stay out of a test's subscriber: there it would add spans that nobody in the test made.

use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use otlp_testkit::Receiver;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

static ON_RECEIVER_THREAD: AtomicUsize = AtomicUsize::new(0);
static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

/// Counts what reaches it by thread.
struct Counting;

impl Counting {
    fn count() {
        let receiver = std::thread::current().name() == Some("otlp-testkit");
        let counter = if receiver { &ON_RECEIVER_THREAD } else { &ELSEWHERE };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Subscriber for Counting {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Self::count();
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        Self::count();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_receiver_traces_nothing() {
    tracing::subscriber::set_global_default(Counting).unwrap();
    let receiver = Receiver::start().unwrap();
    let mut client = TraceServiceClient::connect(receiver.grpc_endpoint()).await.unwrap();
    client.export(ExportTraceServiceRequest::default()).await.unwrap();
    drop(receiver);
    assert!(ELSEWHERE.load(Ordering::Relaxed) > 0, "the subscriber saw nothing at all, so it proves nothing");
    assert_eq!(ON_RECEIVER_THREAD.load(Ordering::Relaxed), 0);
}
