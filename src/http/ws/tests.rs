//! Clients over a pipe of a known size, with the clock under control.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;
use crate::config::Config;
use crate::telemetry::{self, Guard, Telemetry};
use crate::workload::websocket::Limits;

/// Some small messages, and less than a long one.
const PIPE_BYTES: usize = 512;

const LIMITS: Limits = Limits {
    connections: 4,
    players: 3,
    rooms: 2,
    queue: 8,
    rate: 10,
    burst: 40,
    bytes: 16 * 1024,
    bytes_burst: 128 * 1024,
    refusals: 5,
};

struct Rig {
    game: Game,
    telemetry: Telemetry,
    _guard: Guard,
}

type Client = WebSocketStream<DuplexStream>;

impl Rig {
    fn new(limits: Limits) -> Self {
        let env = HashMap::from([("HOME", "/"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]);
        let (telemetry, guard) = telemetry::start(&Config::read(&env, &[]).unwrap().0).unwrap();
        Self { game: Game::new(limits, &telemetry), telemetry, _guard: guard }
    }

    async fn connect(&self) -> Result<Client, Error> {
        self.connect_over(duplex(PIPE_BYTES)).await
    }

    async fn connect_over<S>(&self, (ours, theirs): (S, S)) -> Result<WebSocketStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = Router::new().route("/ws", get(ws)).with_state(self.game.clone());
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new());
            builder.serve_connection(TokioIo::new(ours), TowerToHyperService::new(router)).with_upgrades().await
        });
        Ok(tokio_tungstenite::client_async("ws://lab/ws", theirs).await?.0)
    }

    async fn player(&self) -> Client {
        self.player_over(PIPE_BYTES).await
    }

    async fn player_over(&self, pipe_bytes: usize) -> Client {
        let mut client = self.connect_over(duplex(pipe_bytes)).await.unwrap();
        assert_eq!(ask(&mut client, json!({"kind": "join", "room": "lobby", "name": "ann"})).await["kind"], "joined");
        client
    }

    /// The value of a series on the page of the metrics.
    fn metric(&self, name: &str, kind: &str) -> u64 {
        let page = self.telemetry.exposition.as_ref().unwrap().render(None).unwrap();
        let text = page.body;
        let label = format!("kind=\"{kind}\"");
        let line =
            |line: &&str| line.split(['{', ' ']).next() == Some(name) && (kind.is_empty() || line.contains(&label));
        let line = text.lines().find(line).unwrap_or_else(|| panic!("no {name} of {kind:?}"));
        line.rsplit(' ').next().unwrap().trim_end_matches(".0").parse().unwrap()
    }

    fn fault(&self, kind: Fault) -> u64 {
        self.metric("websocket_connection_errors_total", kind.name())
    }

    /// Of all kinds.
    fn faults(&self) -> u64 {
        Fault::ALL.iter().map(|kind| self.fault(*kind)).sum()
    }
}

async fn send(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is no ping.
async fn hear(client: &mut Client) -> Value {
    loop {
        match client.next().await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ask(client: &mut Client, message: Value) -> Value {
    send(client, message).await;
    hear(client).await
}

/// The code with which the connection was closed; none when it just ended.
async fn ended(client: &mut Client) -> Option<u16> {
    let mut code = None;
    let rest = async {
        while let Some(Ok(message)) = client.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), rest).await.expect("the connection ends");
    code
}

#[tokio::test(start_paused = true)]
async fn all_in_a_room_hear_what_one_says_in_the_same_order() {
    let rig = Rig::new(LIMITS);
    let (mut ann, mut bob) = (rig.player().await, rig.player().await);
    let mut other = rig.connect().await.unwrap();
    assert_eq!(ask(&mut other, json!({"kind": "join", "room": "attic", "name": "eve"})).await["players"], 1);
    send(&mut ann, json!({"kind": "say", "text": "hello"})).await;
    send(&mut ann, json!({"kind": "move", "x": 1.5, "y": -2})).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(hear(client).await, json!({"kind": "said", "seq": 1, "player": 1, "text": "hello"}));
        assert_eq!(hear(client).await, json!({"kind": "moved", "seq": 2, "player": 1, "x": 1.5, "y": -2.0}));
    }
    let left = ask(&mut bob, json!({"kind": "leave"})).await;
    assert_eq!(left, json!({"kind": "left", "room": "lobby", "player": 2, "seq": 2}));
    send(&mut ann, json!({"kind": "say", "text": "alone"})).await;
    assert_eq!(hear(&mut ann).await["seq"], 3);
    // Nothing came between: who is in another room, or left, hears nothing.
    assert_eq!(ask(&mut bob, json!({"kind": "leave"})).await["error"], "not_joined");
    assert_eq!(ask(&mut other, json!({"kind": "leave"})).await["seq"], 0);
}

#[tokio::test(start_paused = true)]
async fn counters_agree_with_what_a_client_sent_and_got() {
    let rig = Rig::new(LIMITS);
    let mut ann = rig.connect().await.unwrap();
    let join = json!({"kind": "join", "room": "lobby", "name": "ann"});
    let say = json!({"kind": "say", "text": "grüße"});
    let (sent, mut got) = ([join.to_string().len(), say.to_string().len()], Vec::new());
    for message in [join, say] {
        send(&mut ann, message).await;
        got.push(ann.next().await.unwrap().unwrap().len() as u64);
    }
    assert_eq!((rig.metric("websocket_connections_active", ""), rig.metric("websocket_sessions_active", "")), (1, 1));
    for (kind, bytes) in [("join", sent[0]), ("say", sent[1])] {
        assert_eq!(rig.metric("websocket_messages_received_total", kind), 1);
        assert_eq!(rig.metric("websocket_bytes_received_total", kind), bytes as u64);
        assert_eq!(rig.metric("websocket_message_processing_duration_seconds_count", kind), 1);
    }
    for (kind, bytes) in [("joined", got[0]), ("said", got[1])] {
        assert_eq!(rig.metric("websocket_messages_sent_total", kind), 1);
        assert_eq!(rig.metric("websocket_bytes_sent_total", kind), bytes);
    }
    assert_eq!(
        (rig.metric("websocket_broadcasts_total", "said"), rig.metric("websocket_broadcasts_total", "moved")),
        (1, 0)
    );
    ann.close(None).await.unwrap();
    ended(&mut ann).await;
    rig.game.close(Duration::from_secs(1)).await;
    assert_eq!((rig.metric("websocket_connections_active", ""), rig.metric("websocket_sessions_active", "")), (0, 0));
    assert_eq!(rig.faults(), 0);
}

#[tokio::test(start_paused = true)]
async fn all_players_of_a_room_may_speak_at_the_same_moment() {
    const PLAYERS: usize = 50;
    const EACH: usize = 8;
    let rig = Rig::new(Limits { connections: PLAYERS, players: PLAYERS, queue: 2 * PLAYERS, ..LIMITS });
    let mut players = Vec::new();
    for _ in 0..PLAYERS {
        // With room for everything: what is in the way is only how the tasks take turns.
        players.push(rig.player_over(1 << 20).await);
    }
    for _ in 0..EACH {
        for player in &mut players {
            send(player, json!({"kind": "say", "text": "now"})).await;
        }
    }
    for player in &mut players {
        for seq in 1..=PLAYERS * EACH {
            assert_eq!(hear(player).await["seq"], seq);
        }
    }
    assert_eq!(rig.faults(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_dropped_and_nobody_waits_for_it() {
    let rig = Rig::new(LIMITS);
    let (mut ann, mut bob, mut slow) = (rig.player().await, rig.player().await, rig.player().await);
    let text = "x".repeat(100);
    let begin = Instant::now();
    // More than a pipe and a queue hold, and less than a burst.
    for seq in 1..=30 {
        send(&mut ann, json!({"kind": "say", "text": text})).await;
        for client in [&mut ann, &mut bob] {
            assert_eq!(hear(client).await["seq"], seq);
        }
    }
    assert_eq!(begin.elapsed(), Duration::ZERO, "nobody waited");
    // Beyond the time to close; the slow one never knew.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((rig.fault(Fault::SlowClient), rig.metric("websocket_connections_active", "")), (1, 2));
    let mut got = 0;
    while let Some(Ok(Message::Text(_))) = slow.next().await {
        got += 1;
    }
    assert_eq!(rig.metric("websocket_messages_sent_total", "said"), 30 + 30 + got, "what it got was counted");
    assert!((2..10).contains(&got), "{got}");
    assert_eq!(ask(&mut ann, json!({"kind": "leave"})).await["seq"], 30);
}

#[tokio::test(start_paused = true)]
async fn who_was_dropped_from_its_room_makes_no_broadcasts() {
    let rig = Rig::new(Limits { queue: 2, ..LIMITS });
    let seat = rig.game.enter().unwrap();
    let (mut ann, _mail, _overflow) = seat.session();
    let say = r#"{"kind":"say","text":"hello"}"#;
    // What it says second is the third letter to itself.
    for text in [r#"{"kind":"join","room":"lobby","name":"ann"}"#, say, say, say, say] {
        ann.receive(text).unwrap();
    }
    assert_eq!(rig.metric("websocket_broadcasts_total", "said"), 2);
}

#[test]
fn a_full_room_fits_into_the_queues_when_all_speak_at_once() {
    let Limits { players, queue, .. } = Limits::new(1);
    assert!(queue >= 2 * players);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_reads_again_is_told_why_it_goes() {
    let rig = Rig::new(LIMITS);
    let (mut ann, mut slow) = (rig.player().await, rig.player().await);
    for _ in 0..30 {
        send(&mut ann, json!({"kind": "say", "text": "x".repeat(100)})).await;
        hear(&mut ann).await;
    }
    let mut got = 0;
    let code = loop {
        match slow.next().await.unwrap().unwrap() {
            Message::Text(_) => got += 1,
            Message::Close(frame) => break u16::from(frame.unwrap().code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1008);
    assert_eq!(rig.metric("websocket_messages_sent_total", "said"), 30 + got);
}

#[tokio::test(start_paused = true)]
async fn one_message_that_is_not_read_is_enough_in_the_end() {
    let rig = Rig::new(LIMITS);
    let (mut ann, _slow) = (rig.player().await, rig.player().await);
    send(&mut ann, json!({"kind": "say", "text": "x".repeat(1_000)})).await;
    hear(&mut ann).await;
    let begin = Instant::now();
    while rig.metric("websocket_connections_active", "") == 2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!((rig.fault(Fault::SlowClient), begin.elapsed().as_secs()), (1, 7), "five to read, two to close");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_pinged_and_dropped_when_it_does_not_answer() {
    let rig = Rig::new(LIMITS);
    let (mut lively, _dead) = (rig.player().await, rig.player().await);
    let begin = Instant::now();
    let mut pings = 0;
    // Reading answers the pings.
    while begin.elapsed() < Duration::from_secs(600) {
        if let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_secs(600), lively.next()).await {
            assert!(message.is_ping(), "{message:?}");
            pings += 1;
        }
    }
    assert_eq!(pings, 40);
    assert_eq!((rig.fault(Fault::IdleTimeout), rig.metric("websocket_connections_active", "")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn silence_is_measured_from_the_last_word_and_not_in_pings() {
    let rig = Rig::new(LIMITS);
    let mut dead = rig.player().await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    ask(&mut dead, json!({"kind": "leave"})).await;
    let begin = Instant::now();
    while rig.metric("websocket_connections_active", "") == 1 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!((rig.fault(Fault::IdleTimeout), begin.elapsed().as_secs()), (1, 47), "45 to wait, two to close");
}

#[tokio::test(start_paused = true)]
async fn frames_that_never_make_a_message_count_too() {
    let rig = Rig::new(LIMITS);
    let mut ann = rig.player().await;
    let begun = [0x01, 0x80, 0, 0, 0, 0];
    let nothing_more = [0x00, 0x80, 0, 0, 0, 0].repeat(1_000);
    ann.get_mut().write_all(&begun).await.unwrap();
    // More than a client may send at once.
    for _ in 0..100 {
        ann.get_mut().write_all(&nothing_more).await.unwrap();
    }
    assert_eq!(ended(&mut ann).await, Some(1008));
    assert_eq!((rig.fault(Fault::RateLimited), rig.faults()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_sends_too_much_is_told_and_then_dropped() {
    let rig = Rig::new(LIMITS);
    let mut ann = rig.player().await;
    // Together less than the time until a ping, whose answer would count.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Later it may again: what is past is forgiven.
    for _ in 0..2 {
        for _ in 0..LIMITS.burst {
            assert_eq!(ask(&mut ann, json!({"kind": "move", "x": 0, "y": 0})).await["kind"], "moved");
        }
        for _ in 0..LIMITS.refusals {
            let told = ask(&mut ann, json!({"kind": "move", "x": 0, "y": 0})).await;
            assert_eq!((&told["error"], &told["kind"]), (&json!("rate_limited"), &json!("error")));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    // Pings count too.
    for _ in 0..60 {
        ann.send(Message::Ping("x".into())).await.unwrap();
    }
    assert_eq!(ended(&mut ann).await, Some(1008));
    assert_eq!((rig.fault(Fault::RateLimited), rig.metric("websocket_errors_total", "rate_limited")), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn bad_messages_are_answered_and_the_game_goes_on() {
    let rig = Rig::new(LIMITS);
    let mut ann = rig.connect().await.unwrap();
    let long = "x".repeat(1_025);
    let cases = [
        ("", "invalid_json", "write for example"),
        ("{", "invalid_json", "no JSON"),
        ("[]", "invalid_json", "no object"),
        (r#"{"room":"lobby"}"#, "invalid_json", "no text \"kind\""),
        (r#"{"kind":7}"#, "invalid_json", "no text \"kind\""),
        (r#"{"kind":"fly"}"#, "unknown_kind", "\"fly\": write join, move, say or leave"),
        (r#"{"kind":"unknown"}"#, "unknown_kind", "write join"),
        (r#"{"kind":"join","room":"lobby"}"#, "invalid_field", "missing field `name`"),
        (r#"{"kind":"join","room":"a b","name":"ann"}"#, "invalid_field", "room=\"a b\""),
        (r#"{"kind":"join","room":"lobby","name":""}"#, "invalid_field", "name=\"\""),
        (r#"{"kind":"move","x":1001,"y":0}"#, "invalid_field", "x=1001 is not from -1000 to 1000"),
        (r#"{"kind":"move","x":"1","y":0}"#, "invalid_field", "expected f64"),
        (r#"{"kind":"move","x":1e999,"y":0}"#, "invalid_json", "out of range"),
        (r#"{"kind":"leave","now":true}"#, "invalid_field", "unknown field `now`"),
        (r#"{"kind":"say","text":""}"#, "invalid_field", "1 to 1024"),
        (r#"{"kind":"move","x":1,"y":0}"#, "not_joined", "join one first"),
    ];
    for (text, error, part) in cases.into_iter().chain([(
        format!(r#"{{"kind":"say","text":"{long}"}}"#).as_str(),
        "invalid_field",
        "1025 bytes",
    )]) {
        ann.send(Message::text(text)).await.unwrap();
        let told = hear(&mut ann).await;
        assert_eq!((&told["kind"], &told["error"]), (&json!("error"), &json!(error)), "{text}");
        assert!(told["detail"].as_str().unwrap().contains(part), "{text}: {told}");
    }
    // However long what is wrong with it.
    let long = json!({"kind": "leave", "x".repeat(8_000): 1});
    assert!(ask(&mut ann, long).await["detail"].as_str().unwrap().len() < 200);
    assert_eq!(rig.metric("websocket_errors_total", "invalid_field"), 9);
    assert_eq!(ask(&mut ann, json!({"kind": "join", "room": "lobby", "name": "ann"})).await["kind"], "joined");
    let twice = ask(&mut ann, json!({"kind": "join", "room": "lobby", "name": "ann"})).await;
    assert_eq!(twice["error"], "already_joined");
}

#[tokio::test(start_paused = true)]
async fn rooms_and_connections_are_bounded_and_places_come_back() {
    let rig = Rig::new(LIMITS);
    let mut players = vec![rig.player().await, rig.player().await, rig.player().await];
    let mut last = rig.connect().await.unwrap();
    let join = |room: &str| json!({"kind": "join", "room": room, "name": "eve"});
    assert_eq!(ask(&mut last, join("lobby")).await["error"], "room_full");
    let Err(Error::Http(refused)) = rig.connect().await else { panic!("a fifth connection") };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(rig.fault(Fault::TooManyConnections), 1);

    assert_eq!(ask(&mut players[0], json!({"kind": "leave"})).await["kind"], "left");
    assert_eq!(ask(&mut players[0], join("attic")).await["kind"], "joined");
    assert_eq!(ask(&mut last, join("cellar")).await["error"], "too_many_rooms");
    assert_eq!(ask(&mut last, join("lobby")).await["kind"], "joined");
    // Without a word.
    drop(players);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.fault(Fault::ConnectionLost), 3);
    assert_eq!(ask(&mut last, json!({"kind": "leave"})).await["kind"], "left");
    assert_eq!(ask(&mut last, join("cellar")).await["players"], 1, "empty rooms are gone");
    rig.connect().await.unwrap();
}

/// The frames that a client may not send, as bytes after the handshake, and how they are answered.
#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_ends_the_connection_with_its_code() {
    let masked = |head: &[u8], payload: &[u8]| [head, &[0; 4], payload].concat();
    let oversized = [&[0x81, 0xff][..], &20_000_u64.to_be_bytes(), &[0; 4]].concat();
    let cases = [
        ("unmasked", vec![0x81, 0x02, b'{', b'}'], 1002, Fault::ProtocolError),
        ("reserved bits", masked(&[0xf1, 0x80], b""), 1002, Fault::ProtocolError),
        ("reserved opcode", masked(&[0x83, 0x80], b""), 1002, Fault::ProtocolError),
        ("a continuation of nothing", masked(&[0x80, 0x80], b""), 1002, Fault::ProtocolError),
        ("not UTF-8", masked(&[0x81, 0x82], &[0xc3, 0x28]), 1007, Fault::NotUtf8),
        ("binary", masked(&[0x82, 0x82], b"{}"), 1003, Fault::Binary),
        ("oversized", oversized, 1009, Fault::MessageTooLarge),
    ];
    for (name, bytes, code, fault) in cases {
        let rig = Rig::new(LIMITS);
        let mut ann = rig.player().await;
        ann.get_mut().write_all(&bytes).await.unwrap();
        assert_eq!(ended(&mut ann).await, Some(code), "{name}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((rig.fault(fault), rig.metric("websocket_connections_active", "")), (1, 0), "{name}");
    }
}

/// What is not read when a socket is closed makes the system throw away the answer too, which only a real one shows.
#[tokio::test]
async fn who_sends_megabytes_at_once_is_told_and_not_reset() {
    let rig = Rig::new(LIMITS);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    let mut ann = rig.connect_over((ours, theirs)).await.unwrap();
    let body = vec![b' '; 5_000_000];
    let head = [&[0x81, 0xff][..], &(body.len() as u64).to_be_bytes(), &[0; 4]].concat();
    ann.get_mut().write_all(&head).await.unwrap();
    ann.get_mut().write_all(&body).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = ann.next().await else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1009);
    assert!(ann.next().await.is_none(), "closed, not reset");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_close_in_turn_is_cut_and_counted_long_before_the_stop_has_to_end() {
    let rig = Rig::new(LIMITS);
    let (mut ann, _bob) = (rig.player().await, rig.player().await);
    let game = rig.game.clone();
    let closing = tokio::spawn(async move { game.close(Duration::from_secs(60)).await });
    assert_eq!(ended(&mut ann).await, Some(1001));
    assert_eq!(closing.await.unwrap(), 1);
    assert_eq!((rig.fault(Fault::Cut), rig.faults()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_one_fault_also_when_it_is_cut_while_it_closes() {
    let rig = Rig::new(LIMITS);
    let (mut ann, _slow) = (rig.player().await, rig.player().await);
    for _ in 0..30 {
        send(&mut ann, json!({"kind": "say", "text": "x".repeat(100)})).await;
        hear(&mut ann).await;
    }
    let game = rig.game.clone();
    let closing = tokio::spawn(async move { game.close(Duration::from_secs(1)).await });
    assert_eq!(ended(&mut ann).await, Some(1001));
    closing.await.unwrap();
    assert_eq!((rig.fault(Fault::SlowClient), rig.faults()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_with_1001_after_what_was_waiting_and_cuts_who_does_not_go() {
    let rig = Rig::new(LIMITS);
    let (mut ann, mut bob) = (rig.player().await, rig.player().await);
    send(&mut ann, json!({"kind": "say", "text": "the last"})).await;
    assert_eq!(hear(&mut ann).await["text"], "the last");
    let game = rig.game.clone();
    let closing = tokio::spawn(async move { game.close(Duration::from_secs(1)).await });
    assert_eq!(ended(&mut ann).await, Some(1001));
    // Bob reads nothing: neither its message nor its close frame are answered.
    assert_eq!(closing.await.unwrap(), 1);
    assert_eq!((rig.fault(Fault::Cut), rig.metric("websocket_connections_active", "")), (1, 0));
    assert_eq!(hear(&mut bob).await["text"], "the last");
    assert_eq!(ended(&mut bob).await, Some(1001));
    assert!(matches!(rig.connect().await, Err(Error::Http(refused)) if refused.status() == 503));
    assert_eq!(rig.faults(), 1, "who comes too late is no fault");
}
