//! What a run found, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::run::Run;
use super::tally::Tally;

/// Numbers of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The service.
    pub target: String,
    /// The steps, as they can be typed.
    pub profile: String,
    /// The templates and weights, as they can be typed.
    pub mix: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Time until the last answer, in seconds.
    pub seconds: f64,
    /// Requests that came to an end per second.
    pub rate: f64,
    /// The longest time by which this program itself started a request late, in milliseconds; part of the latencies.
    pub latest_start_ms: f64,
    /// All requests.
    #[serde(flatten)]
    pub all: Part,
    /// The requests of each template.
    pub templates: Vec<TemplatePart>,
}

/// Numbers of some requests.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Requests that came to an end.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Failures by name: `http_` and the status, `timeout`, `client_overload`, `connect`, `broken`.
    pub errors: BTreeMap<String, u64>,
    /// Percentiles from the intended start to the end of the answer; none without any.
    pub latency_ms: Option<Percentiles>,
}

/// Numbers of one template.
#[derive(Debug, Clone, Serialize)]
pub struct TemplatePart {
    /// The name.
    pub name: String,
    /// Path and query.
    pub path: String,
    /// Its requests.
    #[serde(flatten)]
    pub part: Part,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl Summary {
    /// The numbers of a run that took `elapsed`.
    #[must_use]
    pub fn new(run: &Run, elapsed: Duration) -> Self {
        let (plan, counts) = (run.plan(), run.counts());
        let seconds = elapsed.as_secs_f64();
        let templates = plan.mix.templates().zip(&counts.templates);
        Self {
            target: plan.target.to_string(),
            profile: plan.profile.to_string(),
            mix: plan.mix.to_string(),
            interrupted: run.stopped(),
            seconds,
            rate: if seconds > 0.0 { counts.all.requests as f64 / seconds } else { 0.0 },
            latest_start_ms: millis(counts.latest_start),
            all: Part::new(&counts.all),
            templates: templates
                .map(|(template, tally)| TemplatePart {
                    name: template.name.clone(),
                    path: template.path.clone(),
                    part: Part::new(tally),
                })
                .collect(),
        }
    }

    /// Whether not one request succeeded.
    #[must_use]
    pub fn all_failed(&self) -> bool {
        self.all.failed == self.all.requests
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { target, profile, seconds, rate, latest_start_ms, all, .. } = self;
        let rows: Vec<(&str, &Part)> =
            self.templates.iter().map(|one| (one.name.as_str(), &one.part)).chain([("TOTAL", all)]).collect();
        let width = rows.iter().map(|(name, _)| name.len()).chain(["REQUEST".len()]).max().unwrap_or_default();
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{target}, {profile}: {} requests in {seconds:.1} s, {rate:.1} per second", all.requests);
        let header = ["COUNT", "FAILED", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];
        let _ = writeln!(text, "{:<width$}{}", "REQUEST", header.map(|title| format!("{title:>11}")).concat());
        for (name, part) in rows {
            let latency = part.latency_ms.map_or(["-"; 5].map(str::to_owned), |latency| {
                let Percentiles { p50, p90, p99, p99_9, max } = latency;
                [p50, p90, p99, p99_9, max].map(|millis| format!("{millis:.1}"))
            });
            let counts = [part.requests.to_string(), part.failed.to_string()];
            let cells: String = counts.iter().chain(&latency).map(|cell| format!("{cell:>11}")).collect();
            let _ = writeln!(text, "{name:<width$}{cells}");
        }
        let errors: Vec<String> = all.errors.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = writeln!(text, "errors: {}", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") });
        let _ = writeln!(
            text,
            "latency counts from the intended start; this program started at most {latest_start_ms:.1} ms late"
        );
        if self.interrupted {
            let _ = writeln!(text, "interrupted before the end of the profile");
        }
        text
    }
}

impl Percentiles {
    /// The percentiles of these latencies; none without any.
    pub(super) fn of(tally: &Tally) -> Option<Self> {
        let percentile = |share| tally.latency(share).map(millis);
        Some(Self {
            p50: percentile(0.5)?,
            p90: percentile(0.9)?,
            p99: percentile(0.99)?,
            p99_9: percentile(0.999)?,
            max: percentile(1.0)?,
        })
    }
}

impl Part {
    fn new(tally: &Tally) -> Self {
        let latency_ms = Percentiles::of(tally);
        Self { requests: tally.requests, failed: tally.failed(), errors: tally.errors.clone(), latency_ms }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
