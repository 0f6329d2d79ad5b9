//! What the players found, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::bot::{PlayerReport, Traffic};
use super::run::{PlayerReports, Shared};
use crate::load::summary::Percentiles;

/// Numbers of a game.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The service.
    pub target: String,
    /// The room.
    pub room: String,
    /// Players, with the slow ones.
    pub players: u16,
    /// Messages per second that were asked for.
    pub rate: f64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// From the begin of the game until the last player left.
    pub seconds: f64,
    /// Messages that were said, each a broadcast.
    pub said: u64,
    /// Broadcasts that the readers were due, all together.
    pub due: u64,
    /// Those that came.
    pub received: u64,
    /// Those that did not come, or not in their order.
    pub lost: u64,
    /// Those that came again, or too late.
    pub doubled: u64,
    /// Readers who did not come or not stay, by the reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Messages that the service refused, by the name of the error.
    pub refused: BTreeMap<String, u64>,
    /// Players who did not read.
    pub slow: u16,
    /// Those of them whom the service dropped.
    pub slow_dropped: u64,
    /// Everything that the players sent.
    pub all_sent: Traffic,
    /// Everything that the players got, the slow ones too.
    pub all_received: Traffic,
    /// From when a message was meant to be said until a reader got it.
    pub latency_ms: Option<Percentiles>,
}

impl Report {
    /// The numbers of a game.
    #[must_use]
    pub fn new(shared: &Shared, reports: &PlayerReports) -> Self {
        let plan = shared.plan();
        let count = |of: fn(&PlayerReport) -> u64| reports.readers.iter().map(of).sum();
        let all = || reports.readers.iter().chain(&reports.slow);
        let traffic = |of: fn(&PlayerReport) -> Traffic| {
            all().map(of).fold(Traffic::default(), |sum, one| Traffic {
                messages: sum.messages + one.messages,
                bytes: sum.bytes + one.bytes,
            })
        };
        let (mut failed, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for failure in reports.readers.iter().filter_map(|report| report.failure) {
            *failed.entry(failure).or_default() += 1;
        }
        for (error, times) in all().flat_map(|report| &report.refused) {
            *refused.entry(error.clone()).or_default() += times;
        }
        Self {
            target: plan.target.to_string(),
            room: plan.room.clone(),
            players: plan.players,
            rate: plan.rate,
            interrupted: shared.stopped(),
            seconds: reports.elapsed.as_secs_f64(),
            said: count(|report| report.said),
            due: count(|report| report.counts.due),
            received: count(|report| report.counts.received),
            lost: count(|report| report.counts.lost),
            doubled: count(|report| report.counts.doubled),
            failed,
            refused,
            slow: plan.slow,
            slow_dropped: reports.slow.iter().filter(|report| report.failure.is_some()).count() as u64,
            all_sent: traffic(|report| report.sent),
            all_received: traffic(|report| report.received),
            latency_ms: Percentiles::of(&shared.latency()),
        }
    }

    /// Whether every reader got everything once; others may have spoken too.
    #[must_use]
    pub fn good(&self) -> bool {
        let readers = u64::from(self.players - self.slow);
        // A service may also lose what it has never numbered.
        let numbered = self.due >= self.said * readers;
        numbered && self.lost == 0 && self.doubled == 0 && self.failed.is_empty() && self.refused.is_empty()
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { target, room, players, slow, seconds, said, due, received, lost, doubled, .. } = self;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{target}, room {room}: {players} players, {said} messages said in {seconds:.1} s");
        let header = ["DUE", "RECEIVED", "LOST", "DOUBLED"];
        let cells = [due, received, lost, doubled];
        let _ = writeln!(text, "{:<12}{}", "BROADCASTS", header.map(|title| format!("{title:>12}")).concat());
        let _ = writeln!(text, "{:<12}{}", "", cells.map(|cell| format!("{cell:>12}")).concat());
        let _ = writeln!(text, "slow players: {slow}, dropped by the service: {}", self.slow_dropped);
        for (what, Traffic { messages, bytes }) in [("sent", self.all_sent), ("got", self.all_received)] {
            let _ = writeln!(text, "all players {what} {messages} messages, {bytes} bytes");
        }
        match &self.latency_ms {
            Some(Percentiles { p50, p90, p99, p99_9, max }) => {
                let _ = writeln!(
                    text,
                    "latency from the intended start: p50 {p50:.1} ms, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p99_9:.1}, max {max:.1}"
                );
            }
            None => text.push_str("no message came\n"),
        }
        let _ = writeln!(text, "players lost: {}", list(&self.failed));
        let _ = writeln!(text, "messages refused: {}", list(&self.refused));
        if self.interrupted {
            text.push_str("interrupted before the end\n");
        }
        text
    }
}

fn list<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let parts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
