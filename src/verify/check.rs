//! Judges one exemplar by the trace it names.

use std::time::Duration;

use super::prometheus::Exemplar;
use super::trace::{Trace, hex, span_id};

/// How much longer than its span a value may be, besides a thousandth of the span.
///
/// A record is made while its span is open, so its value cannot be longer. But the two are not read from one clock at
/// one instant: the span's times come from the wall clock, which is being corrected by up to a thousandth (twice the
/// 500 parts per million of a slewing clock), and the value's start may be read just before the span's with a
/// scheduler's time slice between them. A wrong span differs by more than that, or is too long to be noticed at all.
pub const TOLERANCE: Duration = Duration::from_millis(10);

/// What became of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Its span is in the store, marked, and fits.
    Resolved,
    /// It has no usable `trace_id` or `span_id`.
    Malformed,
    /// Its value is not in the bucket it hangs on.
    BucketMismatch,
    /// The store has no such trace.
    NotFound,
    /// The store has the trace, but not the span.
    SpanMissing,
    /// The span is there, without its mark: another policy kept the trace.
    Unmarked,
    /// The value is longer than the span lasted.
    DurationMismatch,
    /// The store did not answer.
    AskFailed,
}

impl Outcome {
    /// All outcomes, in the order in which reports show them.
    pub const ALL: [Self; 8] = [
        Self::Resolved,
        Self::NotFound,
        Self::SpanMissing,
        Self::Unmarked,
        Self::BucketMismatch,
        Self::DurationMismatch,
        Self::Malformed,
        Self::AskFailed,
    ];

    /// The name in reports and in the attribute `result`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Malformed => "malformed",
            Self::BucketMismatch => "bucket_mismatch",
            Self::NotFound => "not_found",
            Self::SpanMissing => "span_missing",
            Self::Unmarked => "unmarked",
            Self::DurationMismatch => "duration_mismatch",
            Self::AskFailed => "ask_failed",
        }
    }

    /// Whether the exemplar leads nowhere; of one that could not be asked for that is not known.
    #[must_use]
    pub fn dangles(self) -> bool {
        !matches!(self, Self::Resolved | Self::AskFailed)
    }

    /// Whether waiting can change it: the trace, or the rest of it, may still be on its way.
    #[must_use]
    pub fn may_change(self) -> bool {
        matches!(self, Self::NotFound | Self::SpanMissing | Self::AskFailed)
    }
}

/// What can be said of an exemplar without its trace; `None` when its trace has to be asked for.
#[must_use]
pub fn without_trace(exemplar: &Exemplar) -> Option<Outcome> {
    if hex::<16>(&exemplar.trace_id).is_none() || hex::<8>(&exemplar.span_id).is_none() {
        return Some(Outcome::Malformed);
    }
    let fits = exemplar.bucket.is_none_or(|bucket| exemplar.value > bucket.above && exemplar.value <= bucket.le);
    (!fits).then_some(Outcome::BucketMismatch)
}

/// Judges an exemplar that [`without_trace`] had nothing against.
#[must_use]
pub fn with_trace(exemplar: &Exemplar, trace: Option<&Trace>) -> Outcome {
    let Some(trace) = trace else { return Outcome::NotFound };
    let span = span_id(&exemplar.span_id).and_then(|id| trace.spans.get(&id));
    match span {
        None => Outcome::SpanMissing,
        Some(span) if !span.marked => Outcome::Unmarked,
        Some(span) if exemplar.metric.ends_with("_seconds") && !within(exemplar.value, span.duration) => {
            Outcome::DurationMismatch
        }
        Some(_) => Outcome::Resolved,
    }
}

fn within(value_s: f64, span: Duration) -> bool {
    value_s <= span.as_secs_f64() * 1.001 + TOLERANCE.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::super::prometheus::{Bucket, Labels};
    use super::super::trace::Span;
    use super::*;

    fn exemplar(value: f64) -> Exemplar {
        Exemplar {
            metric: "section_duration_seconds".to_owned(),
            series: Labels::new(),
            bucket: Some(Bucket { above: 0.1, le: 0.25 }),
            value,
            timestamp: 0.0,
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
            span_id: "b7ad6b7169203331".to_owned(),
        }
    }

    fn trace(marked: bool, duration: Duration) -> Trace {
        let id = span_id("b7ad6b7169203331").unwrap();
        Trace { spans: [(id, Span { marked, duration })].into() }
    }

    #[test]
    fn a_bucket_holds_its_upper_boundary_and_not_its_lower_one() {
        assert_eq!(without_trace(&exemplar(0.25)), None);
        assert_eq!(without_trace(&exemplar(0.100_000_1)), None);
        for value in [0.1, 0.250_000_1, f64::NAN, -1.0] {
            assert_eq!(without_trace(&exemplar(value)), Some(Outcome::BucketMismatch), "{value}");
        }
    }

    #[test]
    fn an_exemplar_without_ids_is_malformed() {
        for (trace_id, span_id) in [("", "b7ad6b7169203331"), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b716920333")] {
            let exemplar = Exemplar { trace_id: trace_id.into(), span_id: span_id.into(), ..exemplar(0.2) };
            assert_eq!(without_trace(&exemplar), Some(Outcome::Malformed));
        }
    }

    #[test]
    fn a_value_may_be_longer_than_its_span_by_the_tolerance_only() {
        let judge = |value, millis| with_trace(&exemplar(value), Some(&trace(true, Duration::from_millis(millis))));
        assert_eq!(judge(0.2, 200), Outcome::Resolved);
        assert_eq!(judge(0.2, 5_000), Outcome::Resolved);
        assert_eq!(judge(0.2101, 200), Outcome::Resolved);
        assert_eq!(judge(0.2103, 200), Outcome::DurationMismatch);
        let count = Exemplar { metric: "queue_length".to_owned(), ..exemplar(0.2) };
        assert_eq!(with_trace(&count, Some(&trace(true, Duration::ZERO))), Outcome::Resolved);
    }

    #[test]
    fn a_missing_trace_span_or_mark_each_has_its_own_name() {
        assert_eq!(with_trace(&exemplar(0.2), None), Outcome::NotFound);
        let other = Exemplar { span_id: "b7ad6b7169203332".to_owned(), ..exemplar(0.2) };
        let trace_of_200_ms = |marked| trace(marked, Duration::from_millis(200));
        assert_eq!(with_trace(&other, Some(&trace_of_200_ms(true))), Outcome::SpanMissing);
        assert_eq!(with_trace(&exemplar(0.2), Some(&trace_of_200_ms(false))), Outcome::Unmarked);
    }
}
