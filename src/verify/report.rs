//! Counts the verdicts and prints them, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::check::Outcome;
use super::resolve::Verdict;

/// Exemplars that do not resolve and are listed one by one under the table; the JSON form lists all of them.
const LISTED: usize = 10;

/// What a round of questions found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Kind and address of the trace store.
    pub trace_store: String,
    /// The label matchers of the service's series.
    pub selector: String,
    /// Begin of the time range, seconds since 1970.
    pub start: f64,
    /// End of the time range, seconds since 1970.
    pub end: f64,
    /// All exemplars.
    pub exemplars: usize,
    /// Those that lead to their span.
    pub resolved: usize,
    /// Those that lead nowhere.
    pub dangling: usize,
    /// Those that the store did not answer for.
    pub ask_failed: usize,
    /// The same per metric, sorted by name.
    pub metrics: Vec<MetricReport>,
    /// Every exemplar that did not resolve.
    pub unresolved: Vec<Unresolved>,
}

/// The exemplars of one metric.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MetricReport {
    /// The name, without `_bucket`.
    pub metric: String,
    /// All exemplars.
    pub exemplars: usize,
    /// Those that lead to their span.
    pub resolved: usize,
    /// The others, by reason.
    pub reasons: BTreeMap<&'static str, usize>,
}

/// An exemplar that did not resolve.
#[derive(Debug, Clone, Serialize)]
pub struct Unresolved {
    /// The name of its metric.
    pub metric: String,
    /// Labels of its series.
    pub series: BTreeMap<String, String>,
    /// The boundary of its bucket, if it has one.
    pub le: Option<String>,
    /// Its value, in the metric's unit.
    pub value: f64,
    /// When it was recorded, seconds since 1970.
    pub timestamp: f64,
    /// The trace it names.
    pub trace_id: String,
    /// The span it names.
    pub span_id: String,
    /// Why it does not resolve.
    pub reason: &'static str,
    /// How often its trace was asked for.
    pub asks: u32,
    /// What the store said instead of an answer.
    pub error: Option<String>,
}

impl Report {
    /// Counts `verdicts`; `metrics` are shown also without exemplars.
    #[must_use]
    pub fn new(
        trace_store: String,
        selector: &str,
        (start, end): (f64, f64),
        metrics: Vec<String>,
        verdicts: Vec<Verdict>,
    ) -> Self {
        let mut by_metric: BTreeMap<String, MetricReport> =
            metrics.into_iter().map(|metric| (metric, MetricReport::default())).collect();
        let mut report = Self {
            trace_store,
            selector: selector.to_owned(),
            start,
            end,
            exemplars: verdicts.len(),
            resolved: 0,
            dangling: 0,
            ask_failed: 0,
            metrics: Vec::new(),
            unresolved: Vec::new(),
        };
        for verdict in verdicts {
            let of_metric = by_metric.entry(verdict.exemplar.metric.clone()).or_default();
            of_metric.exemplars += 1;
            if verdict.outcome == Outcome::Resolved {
                of_metric.resolved += 1;
                report.resolved += 1;
                continue;
            }
            *of_metric.reasons.entry(verdict.outcome.name()).or_default() += 1;
            if verdict.outcome.dangles() {
                report.dangling += 1;
            } else {
                report.ask_failed += 1;
            }
            report.unresolved.push(verdict.into());
        }
        report.metrics = by_metric.into_iter().map(|(metric, counts)| MetricReport { metric, ..counts }).collect();
        report
    }

    /// How many exemplars came to this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        match outcome {
            Outcome::Resolved => self.resolved,
            other => self.metrics.iter().filter_map(|metric| metric.reasons.get(other.name())).sum(),
        }
    }

    /// The exit code of the round: 0 when all resolve, 1 when one dangles, 2 when there are none or the store did not
    /// answer for all of them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { dangling: 1.., .. } => 1,
            Self { exemplars: 0, .. } | Self { ask_failed: 1.., .. } => 2,
            _ => 0,
        }
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self.metrics.iter().map(|metric| metric.metric.len()).chain([6]).max().unwrap_or(6);
        let mut text = String::new();
        let mut line = |metric: &str, exemplars: &str, resolved: &str, dangling: &str| {
            let row = format!("{metric:<width$}  {exemplars:>9}  {resolved:>8}  {dangling}");
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", row.trim_end());
        };
        line("METRIC", "EXEMPLARS", "RESOLVED", "DANGLING");
        for metric in &self.metrics {
            let exemplars = metric.exemplars.to_string();
            line(&metric.metric, &exemplars, &metric.resolved.to_string(), &reasons(&metric.reasons));
        }
        let mut all = BTreeMap::new();
        for (reason, count) in self.metrics.iter().flat_map(|metric| &metric.reasons) {
            *all.entry(*reason).or_default() += count;
        }
        line("TOTAL", &self.exemplars.to_string(), &self.resolved.to_string(), &reasons(&all));
        for one in self.unresolved.iter().take(LISTED) {
            let _ = writeln!(text, "{one}");
        }
        if self.unresolved.len() > LISTED {
            let more = self.unresolved.len() - LISTED;
            let _ = writeln!(text, "and {more} more that --json lists");
        }
        let _ = writeln!(text, "{}", self.verdict());
        text
    }

    /// The round in one sentence.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Self { exemplars, dangling, ask_failed, trace_store, selector, .. } = self;
        match self.exit_code() {
            0 => format!("all {exemplars} exemplars resolve ({trace_store})"),
            1 => format!("{dangling} of {exemplars} exemplars dangle ({trace_store})"),
            _ if *exemplars == 0 => format!(
                "found no exemplars of {{{selector}}} in the time range: send requests and wait for an export, \
                 or widen --since or --selector"
            ),
            _ => format!("{trace_store} did not answer for {ask_failed} of {exemplars} exemplars"),
        }
    }
}

fn reasons(counts: &BTreeMap<&'static str, usize>) -> String {
    if counts.is_empty() {
        return "0".to_owned();
    }
    let parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.join(", ")
}

impl From<Verdict> for Unresolved {
    fn from(verdict: Verdict) -> Self {
        let Verdict { exemplar, outcome, asks, error } = verdict;
        Self {
            metric: exemplar.metric,
            series: exemplar.series,
            le: exemplar.bucket.map(|bucket| bucket.le.to_string()),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
            trace_id: exemplar.trace_id,
            span_id: exemplar.span_id,
            reason: outcome.name(),
            asks,
            error,
        }
    }
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { metric, value, trace_id, span_id, reason, asks, .. } = self;
        let le = self.le.as_deref().unwrap_or("-");
        write!(f, "  {reason}: {metric} le={le} value={value} trace={trace_id} span={span_id}, asked {asks} times")?;
        self.error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}
