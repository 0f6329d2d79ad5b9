//! Bots against services that keep the rules, and against one that does not.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

use super::bot::open;
use super::report::Report;
use super::run::Run;
use super::*;

/// Numbers of what was said, and who is there.
type Room = Arc<Mutex<(u64, Vec<UnboundedSender<Value>>)>>;

/// What all players are told of what one says, the `seq`-th; none when it gets no number.
type Answers = fn(seq: u64) -> Option<Vec<Value>>;

/// Serves a game.
async fn serve(answers: Answers) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap()), false).unwrap();
    tokio::spawn(async move {
        let room = Room::default();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(player(stream, Arc::clone(&room), answers));
        }
    });
    target
}

async fn player(stream: TcpStream, room: Room, answers: Answers) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let (mailbox, mut mail) = unbounded_channel::<Value>();
    loop {
        let text = tokio::select! {
            Some(letter) = mail.recv() => {
                // Who has left does not read any more.
                let _ = socket.send(Message::text(letter.to_string())).await;
                continue;
            }
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            },
        };
        let (seq, players) = &mut *room.lock().unwrap();
        match serde_json::from_str::<Value>(&text).unwrap()["kind"].as_str().unwrap() {
            "join" => {
                mailbox.send(json!({"kind": "joined", "seq": *seq})).unwrap();
                players.push(mailbox.clone());
            }
            "leave" => {
                players.retain(|other| !other.same_channel(&mailbox));
                mailbox.send(json!({"kind": "left", "seq": *seq})).unwrap();
            }
            _ => {
                let Some(answers) = answers(*seq + 1) else { continue };
                *seq += 1;
                for answer in answers {
                    players.iter().for_each(|player| player.send(answer.clone()).unwrap());
                }
            }
        }
    }
}

fn said(seq: u64) -> Value {
    json!({"kind": "said", "seq": seq, "text": "0"})
}

async fn play(target: Target, players: u16) -> Report {
    let (rate, duration) = (100.0, Duration::from_millis(195));
    let plan =
        Plan { target, room: "bots".to_owned(), players, slow: 0, rate, duration, timeout: Duration::from_secs(30) };
    let run = Run::new(plan.checked().unwrap());
    let reports = run.play(std::future::pending()).await;
    Report::new(run.shared(), &reports)
}

#[tokio::test]
async fn everything_once_is_good() {
    let report = play(serve(|seq| Some(vec![said(seq)])).await, 4).await;
    assert_eq!((report.said, report.due, report.received), (20, 80, 80), "{report:?}");
    assert_eq!((report.lost, report.doubled, report.good()), (0, 0, true));
    assert_eq!(report.all_sent.messages, 20 + 2 * 4);
    assert_eq!(report.all_received.messages, 80 + 2 * 4);
    assert!(report.latency_ms.is_some() && report.table().contains("players lost: none"), "{}", report.table());
}

#[tokio::test]
async fn a_service_that_loses_and_doubles_is_found_out() {
    let report = play(serve(|seq| Some(if seq == 3 { vec![] } else { vec![said(seq)] })).await, 1).await;
    assert_eq!((report.due, report.received, report.lost, report.doubled), (20, 19, 1, 0));
    assert!(!report.good());
    let report = play(serve(|seq| Some(vec![said(seq); if seq == 3 { 2 } else { 1 }])).await, 1).await;
    assert_eq!((report.due, report.received, report.lost, report.doubled), (20, 21, 0, 1));
    assert!(!report.good());
}

#[tokio::test]
async fn a_service_that_swallows_what_is_said_is_found_out() {
    // No number is missing: it counts only what it gives to the players.
    let report = play(serve(|seq| (seq < 3).then(|| vec![said(seq)])).await, 2).await;
    assert_eq!((report.said, report.due, report.received), (20, 4, 4));
    assert_eq!((report.lost, report.doubled, report.good()), (0, 0, false));
}

#[tokio::test]
async fn players_come_by_any_address_of_the_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (nobody, somebody) = ("127.0.0.1:1".parse().unwrap(), listener.local_addr().unwrap());
    for slow in [false, true] {
        assert_eq!(open([nobody, somebody].into_iter(), slow).await.unwrap().peer_addr().unwrap(), somebody);
    }
    assert!(open([nobody].into_iter(), false).await.is_err());
}

#[tokio::test]
async fn refusals_are_counted_by_their_name() {
    let report = play(serve(|_| Some(vec![json!({"kind": "error", "error": "rate_limited"})])).await, 1).await;
    assert_eq!(report.refused.into_iter().collect::<Vec<_>>(), [("rate_limited".to_owned(), 20)]);
    assert_eq!((report.received, report.lost), (0, 20));
}

#[tokio::test]
async fn players_who_cannot_come_are_counted_by_the_reason() {
    let nobody = Target::parse("http://127.0.0.1:1", false).unwrap();
    let report = play(nobody, 3).await;
    assert_eq!(report.failed.clone().into_iter().collect::<Vec<_>>(), [("connect", 3)]);
    assert!(!report.good() && report.latency_ms.is_none());
}

#[tokio::test]
async fn a_game_can_be_stopped_early() {
    let target = serve(|seq| Some(vec![said(seq)])).await;
    let plan = Plan {
        target,
        room: "bots".to_owned(),
        players: 2,
        slow: 0,
        rate: 100.0,
        duration: Duration::from_secs(3_600),
        timeout: Duration::from_secs(30),
    };
    let run = Run::new(plan);
    let stop = async {
        while run.shared().deliveries() < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reports = run.play(stop).await;
    let report = Report::new(run.shared(), &reports);
    assert!(report.interrupted && report.good() && report.said < 1_000, "{report:?}");
    assert!(report.table().contains("interrupted"));
}
