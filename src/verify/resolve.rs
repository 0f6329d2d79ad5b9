//! Asks for all traces, and again for those that may still be on their way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{self, Outcome};
use super::prometheus::Exemplar;
use super::seconds;
use super::store::TraceStore;

/// Questions to the store at once: enough to hide its latency, few enough not to be a load test of it.
pub const CONCURRENT_ASKS: usize = 8;

/// Questions before a store that does not answer is given up, whatever the age of the exemplar.
pub const FAILED_ASKS: u32 = 3;

/// The first pause before a trace is asked for again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause: an exemplar that resolves late costs at most this much waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When an exemplar must resolve.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long the collector may wait before it decides on a trace.
    pub decision_wait: Duration,
    /// What the way to the collector and from there to the store may take on top.
    pub margin: Duration,
}

/// An exemplar and what became of it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The exemplar.
    pub exemplar: Exemplar,
    /// What became of it.
    pub outcome: Outcome,
    /// How often its trace was asked for.
    pub asks: u32,
    /// What the store said instead of an answer.
    pub error: Option<String>,
}

/// The exemplars of one trace that are not judged yet.
struct Open {
    trace_id: String,
    exemplars: Vec<Exemplar>,
    /// From here on a missing trace stays missing.
    settled: Instant,
    asks: u32,
}

/// Judges every exemplar; returns when the youngest that did not resolve is old enough to be given up.
pub async fn resolve<S: TraceStore>(store: &Arc<S>, exemplars: Vec<Exemplar>, patience: Patience) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(exemplars.len());
    let mut traces = BTreeMap::<String, Vec<Exemplar>>::new();
    for exemplar in exemplars {
        match check::without_trace(&exemplar) {
            Some(outcome) => verdicts.push(Verdict { exemplar, outcome, asks: 0, error: None }),
            None => traces.entry(exemplar.trace_id.clone()).or_default().push(exemplar),
        }
    }
    let (now, now_s) = (Instant::now(), seconds(SystemTime::now()));
    let mut open: Vec<Open> = traces
        .into_iter()
        .map(|(trace_id, exemplars)| {
            let youngest = exemplars.iter().map(|exemplar| exemplar.timestamp).fold(0.0, f64::max);
            Open { trace_id, exemplars, settled: now + left(youngest, now_s, patience), asks: 0 }
        })
        .collect();
    let mut pause = FIRST_PAUSE;
    loop {
        open = ask_all(store, open, &mut verdicts).await;
        let Some(latest) = open.iter().map(|one| one.settled).max() else { return verdicts };
        // A pause never ends after the latest moment at which an answer can still change, so the loop does end.
        let left = latest.saturating_duration_since(Instant::now());
        tokio::time::sleep(if left.is_zero() { pause } else { pause.min(left) }).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How long from now an exemplar may still be on its way.
fn left(timestamp_s: f64, now_s: f64, patience: Patience) -> Duration {
    let delay = patience.decision_wait + patience.margin;
    let left_s = timestamp_s + delay.as_secs_f64() - now_s;
    // A timestamp from the future, by a clock ahead of ours, does not make the wait longer than the delay itself.
    Duration::try_from_secs_f64(left_s.max(0.0)).unwrap_or(delay).min(delay)
}

/// Asks for each trace once, at most [`CONCURRENT_ASKS`] at a time, and returns those that are to be asked for again.
async fn ask_all<S: TraceStore>(store: &Arc<S>, open: Vec<Open>, verdicts: &mut Vec<Verdict>) -> Vec<Open> {
    let mut waiting = open.into_iter();
    let mut asking = JoinSet::new();
    let mut again = Vec::new();
    loop {
        while asking.len() < CONCURRENT_ASKS
            && let Some(one) = waiting.next()
        {
            let store = Arc::clone(store);
            asking.spawn(async move { ask(store.as_ref(), one).await });
        }
        let Some(asked) = asking.join_next().await else { return again };
        // A task only ends early by a panic, which is a bug to be seen and not an answer.
        let (judged, left) = asked.expect("a question does not panic");
        verdicts.extend(judged);
        again.extend(left);
    }
}

async fn ask<S: TraceStore>(store: &S, open: Open) -> (Vec<Verdict>, Option<Open>) {
    let Open { trace_id, exemplars, settled, asks } = open;
    let asks = asks + 1;
    // Taken before the question: an answer counts as final only if it was asked for late enough.
    let young = Instant::now() < settled;
    let answer = store.trace(&trace_id).await;
    let error = answer.as_ref().err().map(|error| crate::error::chain(error));
    let (mut judged, mut left) = (Vec::new(), Vec::new());
    for exemplar in exemplars {
        let outcome = match &answer {
            Ok(trace) => check::with_trace(&exemplar, trace.as_ref()),
            Err(_) => Outcome::AskFailed,
        };
        let patient = young || (outcome == Outcome::AskFailed && asks < FAILED_ASKS);
        if outcome.may_change() && patient {
            left.push(exemplar);
        } else {
            judged.push(Verdict { exemplar, outcome, asks, error: error.clone() });
        }
    }
    let left = (!left.is_empty()).then_some(Open { trace_id, exemplars: left, settled, asks });
    (judged, left)
}
