//! The functions that cost most, by span, for scripts and `phaselab profile`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::sources::{Profile, SPAN_NAME, Sample, Symbolized, label};

/// Spans and functions that are named; the rest is in the sums.
const MAX_SPANS: usize = 30;
const MAX_FUNCTIONS: usize = 15;

/// A profile in a few lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Top {
    /// What is counted, for example `cpu` or `inuse_space`.
    pub(crate) kind: String,
    /// In which unit, for example `nanoseconds` or `bytes`.
    pub(crate) unit: String,
    /// The sum over everything.
    pub(crate) total: i64,
    /// How long was looked, in seconds.
    pub(crate) seconds: f64,
    /// Spans, those with most first.
    pub(crate) spans: Vec<SpanTop>,
    /// What the reader ought to know, such as losses.
    pub(crate) comments: Vec<String>,
}

/// One span's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpanTop {
    /// The name; empty outside of any span.
    pub(crate) name: String,
    /// Its sum.
    pub(crate) value: i64,
    /// Functions, those with most of their own first.
    pub(crate) functions: Vec<FunctionTop>,
}

/// One function's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FunctionTop {
    /// The name.
    pub(crate) name: String,
    /// The file, where it is known.
    pub(crate) file: Option<String>,
    /// The line that most of it goes to, where it is known.
    pub(crate) line: Option<u32>,
    /// What it did itself.
    pub(crate) flat: i64,
    /// With what it called.
    pub(crate) cum: i64,
}

/// The top functions of each span; slow, because addresses become names.
pub(super) fn by_span(profile: &Profile) -> Top {
    let value = profile.default_value;
    let sum = |samples: &[Sample]| samples.iter().filter_map(|sample| sample.values.get(value)).sum::<i64>();
    let mut groups: HashMap<&str, Vec<Sample>> = HashMap::new();
    // A heap profile also has what is in use no more.
    let counts = |sample: &&Sample| sample.values.get(value).is_some_and(|value| *value != 0);
    for sample in profile.samples.iter().filter(counts) {
        let name = label(sample, SPAN_NAME).unwrap_or_default();
        groups.entry(name).or_default().push(sample.clone());
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(name, samples)| (sum(&samples), name, samples)).collect();
    groups.sort_by(|one, other| other.0.abs().cmp(&one.0.abs()).then(one.1.cmp(other.1)));
    groups.truncate(MAX_SPANS);
    let spans = groups.into_iter().map(|(sum, name, samples)| SpanTop {
        name: name.to_owned(),
        value: sum,
        functions: functions(&Profile { samples, ..shell(profile) }.symbolize(), value),
    });
    let shown = profile.value_types.get(value);
    Top {
        kind: shown.map_or("", |shown| shown.kind).to_owned(),
        unit: shown.map_or("", |shown| shown.unit).to_owned(),
        total: sum(&profile.samples),
        seconds: profile.duration.as_secs_f64(),
        spans: spans.collect(),
        comments: profile.comments.clone(),
    }
}

/// The functions of all spans together.
pub(super) fn functions(symbolized: &Symbolized, value: usize) -> Vec<FunctionTop> {
    // Those that only call others are in the flame graph.
    let all = symbolized.top(value).into_iter().filter(|function| function.flat != 0).take(MAX_FUNCTIONS);
    all.map(|function| FunctionTop {
        name: function.name.to_string(),
        file: function.file.map(|file| file.to_string()),
        line: function.line,
        flat: function.flat,
        cum: function.cum,
    })
    .collect()
}

/// The profile without its samples.
fn shell(profile: &Profile) -> Profile {
    Profile { value_types: profile.value_types.clone(), samples: Vec::new(), comments: Vec::new(), ..*profile }
}
