//! What a page cannot hold, said once per metric and reason.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use opentelemetry::otel_warn;

/// Something of a metric that is not on the page, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LeftOut {
    /// The name that the SDK knows.
    pub(super) metric: String,
    pub(super) reason: Reason,
}

/// Why; its `Display` says what was lost and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    DeltaTemporality,
    ExponentialHistogram,
    NoName,
    OtherType { name: String },
    NameTaken { name: String },
    Untyped { name: String },
    NoLabelName,
    SameSeries { labels: String },
    NotACount { value: String },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeltaTemporality => f.write_str(
                "it has delta temporality, and a page holds totals since the start: use a cumulative reader",
            ),
            Self::ExponentialHistogram => f.write_str(
                "it is an exponential histogram, for which neither text format has a form: \
                 use explicit bounds, or read it over OTLP",
            ),
            Self::NoName => {
                f.write_str("no character of its name is allowed in a metric name: rename it with letters or digits")
            }
            Self::OtherType { name } => {
                write!(f, "`{name}` already is a metric of another type: rename one of the two")
            }
            Self::NameTaken { name } => {
                write!(f, "another metric has a series called `{name}`: rename one of the two")
            }
            Self::Untyped { name } => write!(
                f,
                "`{name}` is written without its type and exemplars, as its name without `_total` is another metric's \
                 or none: rename one of the two",
            ),
            Self::NoLabelName => {
                f.write_str("an attribute of it has an empty name, so the label is missing: rename it")
            }
            Self::SameSeries { labels } => write!(
                f,
                "two of its time series have the labels `{{{labels}}}`, and only the first is written: \
                 rename one of the attributes",
            ),
            Self::NotACount { value } => write!(
                f,
                "a counter of it stands at {value}, and OpenMetrics wants a number that is not negative: \
                 record only such values",
            ),
        }
    }
}

/// Texts that are remembered as said. Past it nothing more is said: names that change with each scrape would otherwise
/// grow this memory for ever.
const MAX_SAID: usize = 256;

/// Warns of each that was not warned of before in this process.
pub(super) fn report(left_out: &[LeftOut]) {
    static SAID: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    for one in left_out {
        if is_news(&SAID, one) {
            let (metric, reason) = (one.metric.as_str(), one.reason.to_string());
            otel_warn!(name: "Exposition.LeftOut", metric = metric, reason = reason.as_str());
        }
    }
}

fn is_news(said: &Mutex<Option<HashSet<u64>>>, one: &LeftOut) -> bool {
    let mut hasher = DefaultHasher::new();
    one.metric.hash(&mut hasher);
    std::mem::discriminant(&one.reason).hash(&mut hasher);
    let mut said = said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let said = said.get_or_insert_default();
    said.len() < MAX_SAID && said.insert(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_and_reason_is_news_once_and_memory_ends() {
        let said = Mutex::new(None);
        let one = |metric: &str, name: &str| LeftOut {
            metric: metric.into(),
            reason: Reason::NameTaken { name: name.into() },
        };
        assert!(is_news(&said, &one("a", "x")));
        assert!(!is_news(&said, &one("a", "y")), "the same metric and reason, in other words");
        assert!(is_news(&said, &LeftOut { metric: "a".into(), reason: Reason::NoName }));
        let news = (0..1000).filter(|n| is_news(&said, &one(&n.to_string(), "x"))).count();
        assert_eq!(news, MAX_SAID - 2);
    }
}
