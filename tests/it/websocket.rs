//! The game from outside. Catches: handshakes of other sites, connections that outlive their service, messages without a
//! trace of their own, broadcasts that lead nowhere, a span for a connection.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use otlp_testkit::proto::common::v1::any_value::Value as Attribute;
use otlp_testkit::proto::trace::v1::Span;
use otlp_testkit::{Receiver, attribute};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::client::{Answer, PATIENCE, head, send};
use crate::server::{Server, command, run};

/// A refused client's connection is closed.
const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade, close"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

type Client = WebSocket<TcpStream>;

fn connect(server: &Server) -> Client {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(format!("ws://{}/ws", server.address), stream).unwrap().0
}

fn ask(client: &mut Client, message: &Value) -> Value {
    client.send(Message::text(message.to_string())).unwrap();
    serde_json::from_str(client.read().unwrap().to_text().unwrap()).unwrap()
}

fn join(client: &mut Client) {
    assert_eq!(ask(client, &json!({"kind": "join", "room": "lobby", "name": "ann"}))["kind"], "joined");
}

/// The answer to a handshake with these headers more, or others in place of its own; a value of "" leaves one out. A
/// client that was let in leaves at once.
fn handshake(server: &Server, method: &str, changed: &[(&str, &str)]) -> Answer {
    let kept = HANDSHAKE.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    let lines = kept.chain(changed).filter(|(_, value)| !value.is_empty());
    let headers: String = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} /ws HTTP/1.1\r\nHost: lab\r\n{headers}\r\n");
    let close = [0x88, 0x80, 0, 0, 0, 0];
    Answer::read(&mut send(server.address, &[head.as_bytes(), &close].concat()))
}

fn errors(server: &Server, kind: &str) -> String {
    let series = server.series(&["websocket_connection_errors_total{", &format!("kind=\"{kind}\"")]);
    series[0].rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn what_is_no_handshake_is_told_what_one_needs() {
    let server = Server::start(&[]);
    let plain = server.get("/ws");
    assert!(plain.problem(426, "upgrade_required")["detail"].as_str().unwrap().contains("Connection: Upgrade"));
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    handshake(&server, "GET", &[("Upgrade", "")]).problem(426, "upgrade_required");
    handshake(&server, "GET", &[("Connection", "close")]).problem(426, "upgrade_required");
    let version = handshake(&server, "GET", &[("Sec-WebSocket-Version", "8")]);
    version.problem(426, "upgrade_required");
    assert_eq!(version.header("sec-websocket-version"), Some("13"));
    // None, no base64, 15 bytes.
    for key in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j"] {
        let refused = handshake(&server, "GET", &[("Sec-WebSocket-Key", key)]);
        assert!(refused.problem(400, "bad_handshake")["detail"].as_str().unwrap().contains("16 random bytes"));
    }
    handshake(&server, "POST", &[]).problem(405, "method_not_allowed");
    assert_eq!(errors(&server, "bad_handshake"), "7");
}

#[test]
fn pages_of_other_sites_get_no_socket() {
    let server = Server::start(&[]);
    for origin in ["http://evil.example", "http://lab:81", "http://lab.evil.example", "null", "lab"] {
        let refused = handshake(&server, "GET", &[("Origin", origin)]);
        let detail = refused.problem(403, "origin_not_allowed")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(origin) && detail.contains("Host"), "{detail}");
    }
    handshake(&server, "GET", &[("Origin", "http://lab"), ("origin", "http://evil.example")])
        .problem(403, "origin_not_allowed");
    assert_eq!(errors(&server, "origin_not_allowed"), "6");
    let ours = handshake(&server, "GET", &[("Origin", "http://lab")]);
    assert_eq!((ours.status, ours.header("sec-websocket-accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
}

#[test]
fn one_connection_too_many_is_turned_away_and_requests_are_not() {
    let server = Server::start(&[("PHASELAB_MAX_WEBSOCKETS", "1")]);
    let mut first = connect(&server);
    join(&mut first);
    let refused = handshake(&server, "GET", &[]);
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/api/null").status, 200);
    first.close(None).unwrap();
    while first.read().is_ok() {}
    let started = Instant::now();
    while handshake(&server, "GET", &[]).status != 101 {
        assert!(started.elapsed() < PATIENCE);
    }
}

#[test]
fn a_stop_closes_with_1001_and_waits_for_the_answer() {
    let server = Server::start(&[]);
    let mut client = connect(&server);
    join(&mut client);
    server.signal("TERM");
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "the service stops"));
    while client.read().is_ok() {}
    let (status, log) = server.wait();
    assert_eq!((status.code(), log.count("connections were cut")), (Some(0), 0));
}

#[test]
fn who_does_not_answer_the_stop_is_cut_and_counted() {
    let server = Server::start(&[("PHASELAB_SHUTDOWN_TIMEOUT", "200ms")]);
    let mut client = connect(&server);
    join(&mut client);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(log.wait_for("connections were cut")["fields"]["connections"], 1);
}

#[test]
fn a_message_is_a_trace_and_its_broadcast_another_that_links_to_it() {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let server = Server::start(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ]);
    let (mut ann, mut bob) = (connect(&server), connect(&server));
    join(&mut ann);
    join(&mut bob);
    assert_eq!(ask(&mut ann, &json!({"kind": "say", "text": "hello"}))["kind"], "said");
    assert_eq!(ask(&mut bob, &json!({"kind": "fly"}))["kind"], "said");
    // Once it has the answer to that, the message was processed.
    assert_eq!(serde_json::from_str::<Value>(bob.read().unwrap().to_text().unwrap()).unwrap()["kind"], "error");
    drop((ann, bob));
    server.stop();
    let received = receiver.received();
    let spans: Vec<Span> = received.spans().into_iter().map(|found| found.span).collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let counts = ["GET /ws", "websocket join", "websocket say", "websocket broadcast said", "websocket unknown"];
    assert_eq!(counts.map(|name| named(name).len()), [2, 2, 1, 1, 1], "{spans:#?}");
    assert_eq!(spans.len(), 7, "nothing else, least of all a connection");
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()), "each is a trace of its own");
    let (message, broadcast) = (named("websocket say")[0], named("websocket broadcast said")[0]);
    assert_ne!(message.trace_id, broadcast.trace_id);
    let links: Vec<_> = broadcast.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(links, [(&message.trace_id, &message.span_id)]);
    let text = |span: &Span, key: &str| match attribute(&span.attributes, key) {
        Some(Attribute::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!((text(message, "kind"), text(message, "room")), ("say".to_owned(), "lobby".to_owned()));
    assert_eq!(attribute(&broadcast.attributes, "recipients"), Some(&Attribute::IntValue(2)));
    assert_eq!(text(named("websocket unknown")[0], "error.type"), "unknown_kind");
    let upgrade = named("GET /ws")[0];
    assert_eq!(attribute(&upgrade.attributes, "http.response.status_code"), Some(&Attribute::IntValue(101)));
    // The durations lead to their messages.
    let exemplars = received.exemplars_of("websocket.message.processing.duration");
    assert!(exemplars.iter().any(|found| found.exemplar.span_id == message.span_id));
}

#[test]
fn bots_get_everything_and_the_counters_agree() {
    let server = Server::start(&[]);
    let target = format!("http://{}", server.address);
    let flags =
        ["--scenario", "websocket", "--players", "8", "--slow-players", "1", "--duration", "12s", "--rate", "60"];
    // Long enough for the slow one to keep a message waiting longer than it may.
    let finished = run(&[&["load", &target, "--json"], &flags[..]].concat(), &[]);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"));
    assert_eq!(finished.status.code(), Some(0), "{report:#}");
    assert_eq!((&report["said"], &report["received"]), (&json!(720), &report["due"]), "{report:#}");
    assert_eq!((&report["lost"], &report["doubled"], &report["slow_dropped"]), (&json!(0), &json!(0), &json!(1)));
    assert_eq!(errors(&server, "slow_client"), "1");
    let sum = |name: &str| -> f64 {
        let values = server.series(&[name]);
        values
            .iter()
            .map(|line| line.split(" # ").next().unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    };
    for (name, of) in [("sent", "all_received"), ("received", "all_sent")] {
        assert_eq!(sum(&format!("websocket_messages_{name}_total{{")), report[of]["messages"].as_f64().unwrap());
        assert_eq!(sum(&format!("websocket_bytes_{name}_total{{")), report[of]["bytes"].as_f64().unwrap());
    }
    assert_eq!(sum("websocket_broadcasts_total{"), 720.0);
    // The service notices shortly after its clients that they are gone.
    let started = Instant::now();
    while (sum("websocket_connections_active"), sum("websocket_sessions_active")) != (0.0, 0.0) {
        assert!(started.elapsed() < PATIENCE);
    }
}

#[test]
fn a_second_signal_ends_the_bots_without_a_report_and_with_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let flags = ["--scenario", "websocket", "--players", "1", "--duration", "1h", "--timeout", "1h"];
    let mut load = command(&[]);
    load.args([&["load", &target], &flags[..]].concat()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let load = load.spawn().unwrap();
    let signal = || {
        assert!(Command::new("kill").args(["-s", "INT", &load.id().to_string()]).status().unwrap().success());
    };
    let mut player = tungstenite::accept(listener.accept().unwrap().0).unwrap();
    let mut until = |kind: &str| loop {
        let text = player.read().unwrap();
        if serde_json::from_str::<Value>(text.to_text().unwrap()).unwrap()["kind"] == kind {
            return player.send(Message::text(r#"{"kind":"joined","seq":0}"#)).unwrap();
        }
    };
    until("join");
    until("say");
    signal();
    // So the first one was noticed; the player waits for an answer that does not come.
    until("leave");
    signal();
    let finished = load.wait_with_output().unwrap();
    assert_eq!((finished.status.code(), finished.stdout.len()), (Some(1), 0), "{finished:?}");
    assert!(String::from_utf8_lossy(&finished.stderr).contains("second signal"), "{finished:?}");
}

#[test]
fn a_request_head_that_goes_on_as_a_frame_is_one() {
    let server = Server::start(&[]);
    let head = head("GET", "/ws", &HANDSHAKE[1..]).replace("Connection: close", "Connection: Upgrade");
    // A leave, masked with zeros, in the same packet as the handshake.
    let frame = [&[0x81, 0x80 | 16, 0, 0, 0, 0][..], br#"{"kind":"leave"}"#].concat();
    let mut stream = send(server.address, &[head.as_bytes(), &frame].concat());
    let mut answer = Vec::new();
    let started = Instant::now();
    while !String::from_utf8_lossy(&answer).contains("not_joined") {
        let mut part = [0; 1024];
        let read = std::io::Read::read(&mut stream, &mut part).unwrap();
        answer.extend_from_slice(&part[..read]);
        assert!(read > 0 && started.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&answer));
    }
}
