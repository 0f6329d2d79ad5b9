//! The script reaches the client: retries after 503 and UNAVAILABLE, none after 400 and INVALID_ARGUMENT, partial success, a cut
//! connection, and an answer that waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use otlp_testkit::proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use otlp_testkit::proto::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use otlp_testkit::{Answer, Gate, Protocol, Receiver, Signal};
use prost::Message;

use crate::clients::{PATIENCE, emit_span, tracer};

/// Sends an empty export by hand, so that the answer can be seen in full; `None` when the connection was cut.
fn post(receiver: &Receiver) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if read.is_err() || answer.is_empty() {
        return None;
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned();
    Some((status, answer.split_off(end + 4)))
}

async fn call(receiver: &Receiver) -> Result<ExportTraceServiceResponse, tonic::Status> {
    let mut client = TraceServiceClient::connect(receiver.grpc_endpoint()).await.unwrap();
    let answer = client.export(ExportTraceServiceRequest::default());
    // A receiver that neither answers nor hangs up must fail the test, not hang it.
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
    answer.map(tonic::Response::into_inner)
}

#[test]
fn http_answers_follow_the_script() {
    let receiver = Receiver::start().unwrap();
    let script =
        [Answer::unavailable(), Answer::invalid(), Answer::partial(3, "too late"), Answer::close(), Answer::accept()];
    receiver.script(Signal::Traces, script);
    receiver.script(Signal::Metrics, [Answer::invalid()]);

    assert_eq!(post(&receiver).unwrap().0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(post(&receiver).unwrap().0, "HTTP/1.1 400 Bad Request");
    let (status, body) = post(&receiver).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    let partial = ExportTraceServiceResponse::decode(&*body).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "too late"));
    assert_eq!(post(&receiver), None);
    assert_eq!(post(&receiver).unwrap().0, "HTTP/1.1 200 OK");
    let accepted: Vec<bool> = receiver.received().traces.iter().map(|attempt| attempt.accepted()).collect();
    assert_eq!(accepted, [false, false, false, false, true]);
}

#[tokio::test]
async fn grpc_answers_follow_the_script() {
    let receiver = Receiver::start().unwrap();
    let script = [Answer::unavailable(), Answer::invalid(), Answer::partial(3, "too late"), Answer::close()];
    receiver.script(Signal::Traces, script);
    receiver.otherwise(Signal::Traces, Answer::unavailable());

    assert_eq!(call(&receiver).await.unwrap_err().code(), tonic::Code::Unavailable);
    assert_eq!(call(&receiver).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    let partial = call(&receiver).await.unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "too late"));
    let cut = call(&receiver).await.unwrap_err();
    assert!(!cut.message().contains("script"), "an answer came where the connection should have been cut: {cut}");
    assert_eq!(call(&receiver).await.unwrap_err().code(), tonic::Code::Unavailable);
    assert_eq!(receiver.received().traces.len(), 5);
}

#[test]
fn a_retry_is_a_second_attempt_with_the_same_span() {
    let receiver = Receiver::start().unwrap();
    receiver.script(Signal::Traces, [Answer::unavailable()]);
    let provider = tracer(&receiver, Protocol::HttpProtobuf);
    let id = emit_span(&provider);
    provider.force_flush().unwrap();

    let received = receiver.received();
    assert_eq!(received.traces.len(), 2);
    assert_eq!(received.traces[0].request, received.traces[1].request);
    assert_eq!(received.spans().len(), 1, "only the accepted attempt counts");
    assert!(received.span_by_id(id).is_some());
}

#[tokio::test]
async fn an_answer_waits_for_its_gate_and_its_delay() {
    let receiver = Receiver::start().unwrap();
    let gate = Gate::new();
    let delay = Duration::from_millis(50);
    receiver.script(Signal::Traces, [Answer::accept().when(&gate), Answer::accept().after(delay)]);

    let mut held = Box::pin(call(&receiver));
    let arrived = tokio::select! {
        answer = &mut held => panic!("answered before the gate was open: {answer:?}"),
        arrived = receiver.wait_for(PATIENCE, |received| received.traces.len() == 1) => arrived,
    };
    arrived.unwrap();
    gate.open();
    held.await.unwrap();

    let start = Instant::now();
    call(&receiver).await.unwrap();
    assert!(start.elapsed() >= delay);
}

#[test]
fn what_is_not_otlp_is_a_fault() {
    let receiver = Receiver::start().unwrap();
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    stream
        .write_all(b"POST /v1/logs HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(receiver.received().faults, ["POST /v1/logs: no such method and path"]);
}
