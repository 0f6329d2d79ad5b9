//! What the answers say.

use std::time::SystemTime;

use serde::Serialize;

use super::check::Check;
use crate::verify::prometheus::Labels;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every value is below the bound.
    Healthy,
    /// One is not.
    Unhealthy,
    /// There is no value, which says nothing about health.
    NoData,
}

/// One check and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// The highest value; none without data.
    pub value: Option<f64>,
    /// Healthy is what is below.
    pub bound: f64,
    /// What both are.
    pub unit: &'static str,
    /// The labels of each value that is not healthy, the highest first.
    pub culprits: Vec<Labels>,
    /// What was asked.
    pub query: String,
    /// Where to go on reading, from the root of the repository.
    pub look: &'static str,
}

/// One round.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Address of Prometheus.
    pub prometheus: String,
    /// The `service_name` asked for.
    pub service: String,
    /// When, in RFC 3339.
    pub time: String,
    /// What all of it comes to.
    pub verdict: Verdict,
    /// Each check.
    pub checks: Vec<Finding>,
}

impl Finding {
    /// Judges the samples of an answer.
    #[must_use]
    pub fn new(check: &Check, mut samples: Vec<(Labels, f64)>) -> Self {
        samples.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let value = samples.first().map(|(_, value)| *value);
        // What is no number is below nothing.
        let culprits: Vec<_> = samples
            .into_iter()
            .filter(|(_, value)| value.is_nan() || *value >= check.bound)
            .map(|(labels, _)| labels)
            .collect();
        let verdict = match value {
            None => Verdict::NoData,
            Some(_) if culprits.is_empty() => Verdict::Healthy,
            Some(_) => Verdict::Unhealthy,
        };
        Self {
            check: check.subject.name(),
            verdict,
            value,
            bound: check.bound,
            unit: check.unit,
            culprits,
            query: check.query.clone(),
            look: check.look,
        }
    }
}

impl Report {
    /// All findings of a round.
    #[must_use]
    pub fn new(prometheus: &str, service: &str, checks: Vec<Finding>) -> Self {
        let any = |verdict| checks.iter().any(|one| one.verdict == verdict);
        let verdict = match (any(Verdict::Unhealthy), any(Verdict::NoData)) {
            (true, _) => Verdict::Unhealthy,
            (false, true) => Verdict::NoData,
            (false, false) => Verdict::Healthy,
        };
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { prometheus: prometheus.to_owned(), service: service.to_owned(), time, verdict, checks }
    }

    /// 0 healthy, 1 unhealthy, 2 not known.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Healthy => 0,
            Verdict::Unhealthy => 1,
            Verdict::NoData => 2,
        }
    }
}
