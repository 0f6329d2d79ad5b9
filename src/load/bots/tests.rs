//! Bots against services that keep the rules, and against one that does not.

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::report::Report;
use super::run::Run;
use super::*;

/// Serves a game in which `say` has this as its answers.
async fn serve(answers: fn(u64) -> Vec<Value>) -> Target {
    let game = move |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(move |mut socket| async move {
            let mut seq = 0;
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                let message: Value = serde_json::from_str(&text).unwrap();
                let answers = match message["kind"].as_str().unwrap() {
                    "join" => vec![json!({"kind": "joined", "seq": 0})],
                    "leave" => vec![json!({"kind": "left", "seq": seq})],
                    _ => {
                        seq += 1;
                        answers(seq)
                    }
                };
                for answer in answers {
                    socket.send(Message::text(answer.to_string())).await.unwrap();
                }
            }
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap()), false).unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/ws", get(game))).await });
    target
}

fn said(seq: u64) -> Value {
    json!({"kind": "said", "seq": seq, "text": "0"})
}

async fn play(target: Target, players: u16) -> Report {
    let (rate, duration) = (100.0, Duration::from_millis(195));
    let plan =
        Plan { target, room: "bots".to_owned(), players, slow: 0, rate, duration, timeout: Duration::from_secs(30) };
    let run = Run::new(plan.checked().unwrap());
    let tales = run.play(std::future::pending()).await;
    Report::new(run.shared(), &tales)
}

#[tokio::test]
async fn everything_once_is_good() {
    let report = play(serve(|seq| vec![said(seq)]).await, 4).await;
    assert_eq!((report.said, report.due, report.received), (20, 20, 20), "{report:?}");
    assert_eq!((report.lost, report.doubled, report.good()), (0, 0, true));
    assert_eq!(report.all_sent.messages, 20 + 2 * 4);
    assert_eq!(report.all_received.messages, 20 + 2 * 4);
    assert!(report.latency_ms.is_some() && report.table().contains("players lost: none"), "{}", report.table());
}

#[tokio::test]
async fn a_service_that_loses_and_doubles_is_found_out() {
    let report = play(serve(|seq| if seq == 3 { vec![] } else { vec![said(seq)] }).await, 1).await;
    assert_eq!((report.due, report.received, report.lost, report.doubled), (20, 19, 1, 0));
    assert!(!report.good());
    let report = play(serve(|seq| vec![said(seq); if seq == 3 { 2 } else { 1 }]).await, 1).await;
    assert_eq!((report.due, report.received, report.lost, report.doubled), (20, 21, 0, 1));
    assert!(!report.good());
}

#[tokio::test]
async fn refusals_are_counted_by_their_name() {
    let report = play(serve(|_| vec![json!({"kind": "error", "error": "rate_limited"})]).await, 1).await;
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
    let target = serve(|seq| vec![said(seq)]).await;
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
    let tales = run.play(stop).await;
    let report = Report::new(run.shared(), &tales);
    assert!(report.interrupted && report.good() && report.said < 1_000, "{report:?}");
    assert!(report.table().contains("interrupted"));
}
