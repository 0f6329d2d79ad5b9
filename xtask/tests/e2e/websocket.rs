//! The game on the real programs: two hundred players who check what they get, some of whom do not read. Prometheus has
//! the numbers that the players counted, and an exemplar of a broadcast leads to the message behind it.

use std::time::Duration;

use serde_json::Value;

use super::lab::{Lab, Options, wait_for};
use super::service::QUICK;

/// How many play, unless `GAME_PLAYERS` says otherwise.
const PLAYERS: u64 = 200;
const SLOW: u64 = 5;
/// Messages a second, each given to all players.
const RATE: u64 = 10;
/// How long, unless `GAME_SECONDS` says otherwise.
const SECONDS: u64 = 20;

/// Two export intervals of five seconds, the collector's queue, and room for a busy machine.
const EXPORTED_WITHIN: Duration = Duration::from_secs(120);

/// A number out of the environment, for a longer run.
fn given(variable: &str, otherwise: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a setting of this test alone")]
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn two_hundred_players_get_everything_and_slow_ones_are_dropped() {
    let lab = Lab::start(Options { env: &QUICK, serve: true, ..Options::default() });
    let target = format!("http://127.0.0.1:{}", lab.stack.config().ports.http);
    let (players, seconds) = (given("GAME_PLAYERS", PLAYERS), given("GAME_SECONDS", SECONDS));
    let (due, duration) = (RATE * seconds * (players - SLOW), format!("{seconds}s"));
    let [players, slow, rate] = [players, SLOW, RATE].map(|number| number.to_string());
    let args = ["--players", &players, "--slow-players", &slow, "--rate", &rate, "--duration", &duration];
    let (code, report) = lab.phaselab(&[&["load", &target, "--scenario", "websocket"], &args[..]].concat());
    assert_eq!(code, 0, "{report:#}");
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    println!(
        "  {} of {} broadcasts came, latency {}, slow players dropped {}",
        number("received"),
        number("due"),
        report["latency_ms"],
        number("slow_dropped")
    );
    assert_eq!(number("said"), RATE * seconds);
    assert_eq!((number("due"), number("received")), (due, due));
    assert_eq!((number("lost"), number("doubled"), number("slow_dropped")), (0, 0, SLOW));

    let counted = [
        ("websocket_messages_sent_total", &report["all_received"]["messages"]),
        ("websocket_bytes_sent_total", &report["all_received"]["bytes"]),
        ("websocket_messages_received_total", &report["all_sent"]["messages"]),
        ("websocket_bytes_received_total", &report["all_sent"]["bytes"]),
        ("websocket_broadcasts_total", &report["said"]),
        ("websocket_connection_errors_total", &report["slow"]),
        ("websocket_errors_total", &Value::from(0)),
        ("websocket_connections_active", &Value::from(0)),
        ("websocket_sessions_active", &Value::from(0)),
    ];
    for (name, expected) in counted {
        let expected = expected.as_f64().unwrap();
        // The service notices shortly after the players that they are gone.
        wait_for(&format!("{name} is {expected} at the service"), EXPORTED_WITHIN, || lab.metric(name, "") == expected);
        wait_for(&format!("{name} is {expected} in Prometheus"), EXPORTED_WITHIN, || sum(&lab, name) == Some(expected));
    }
    assert_eq!(lab.metric("websocket_connection_errors_total", "slow_client"), SLOW as f64);

    let (code, verified) = lab.phaselab(&["verify"]);
    assert_eq!(code, 0, "{verified:#}");
    let metrics = verified["metrics"].as_array().unwrap();
    for name in ["websocket_message_processing_duration_seconds", "websocket_broadcasts_total"] {
        let resolved = metrics.iter().find(|one| one["metric"] == name).and_then(|one| one["resolved"].as_u64());
        assert!(resolved > Some(0), "no exemplar of {name}: {verified:#}");
    }
    broadcasts_lead_to_messages(&lab);
    lab.print_resident();
}

/// The stored trace of every exemplar of a broadcast is one span, linked to a span of another trace.
fn broadcasts_lead_to_messages(lab: &Lab) {
    let query = r#"websocket_broadcasts_total{job="phaselab"}"#;
    let exemplars = lab.exemplars_of(lab.stack.config().ports.prometheus, query);
    assert!(!exemplars.is_empty());
    for exemplar in exemplars {
        let spans = lab.spans(&exemplar.trace_id);
        assert_eq!(spans.len(), 1, "{spans:#?}");
        assert_eq!(spans[0]["name"], "websocket broadcast said");
        let links = spans[0]["links"].as_array().cloned().unwrap_or_default();
        assert_eq!(links.len(), 1, "{spans:#?}");
        assert_ne!(links[0]["traceId"], spans[0]["traceId"]);
    }
}

/// The sum of the service's series in Prometheus.
fn sum(lab: &Lab, name: &str) -> Option<f64> {
    let path = format!("/api/v1/query?query=sum({name}%7Bjob%3D%22phaselab%22%7D)");
    let answer = lab.ask(lab.stack.config().ports.prometheus, &path)?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}
