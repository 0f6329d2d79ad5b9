//! From samples to what people ask for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::labels::Label;
use crate::names::{self, NameId};
use crate::profile::{Filter, Labels, Profile, Sample, ValueType};
use crate::samples::{Seen, Weight};

/// CPU time of all spans of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanShare {
    /// The name; empty outside of any span.
    pub name: Arc<str>,
    /// Samples in spans of this name, without those of spans inside.
    pub samples: u64,
    /// The CPU time that they stand for.
    pub cpu: Duration,
}

/// CPU time of one span.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceSpan {
    /// The span.
    pub span_id: u64,
    /// Its name, or that of a span inside which is not exported.
    pub name: Arc<str>,
    /// Samples in it, without those of spans inside.
    pub samples: u64,
    /// The CPU time that they stand for.
    pub cpu: Duration,
}

/// The profile of what the filter names.
pub(super) fn profile<'a>(
    seen: impl Iterator<Item = Seen<'a>>,
    filter: &Filter,
    hz: u32,
    start: SystemTime,
    duration: Duration,
) -> Profile {
    let wanted = Wanted::new(filter);
    // Stacks and labels repeat, and there may be a hundred thousand samples.
    let mut stacks: HashSet<Arc<[u64]>> = HashSet::new();
    let mut sums: HashMap<(Arc<[u64]>, Option<Label>), Weight> = HashMap::new();
    let mut addresses = Vec::new();
    for seen in seen.filter(|seen| wanted.matches(seen.label)) {
        addresses.clear();
        addresses.extend(seen.stack());
        let stack = stacks.get(addresses.as_slice()).cloned().unwrap_or_else(|| {
            let stack = Arc::<[u64]>::from(addresses.as_slice());
            stacks.insert(Arc::clone(&stack));
            stack
        });
        sums.entry((stack, seen.label)).or_default().add(seen.weight);
    }
    let mut texts: HashMap<Label, Labels> = HashMap::new();
    let samples = sums.into_iter().map(|((stack, label), weight)| Sample {
        stack,
        values: [weight.count, weight.nanoseconds].map(|value| i64::try_from(value).unwrap_or(i64::MAX)).into(),
        labels: label.map(|label| texts.entry(label).or_insert_with(|| labels(label)).clone()).unwrap_or_default(),
    });
    let cpu = ValueType { kind: "cpu", unit: "nanoseconds" };
    Profile {
        value_types: vec![ValueType { kind: "samples", unit: "count" }, cpu],
        default_value: 1,
        period: Some((cpu, 1_000_000_000 / i64::from(hz.max(1)))),
        start,
        duration,
        samples: samples.collect(),
        comments: Vec::new(),
        drop_frames: None,
    }
}

/// CPU time by name, the most first.
pub(super) fn by_name<'a>(seen: impl Iterator<Item = Seen<'a>>) -> Vec<SpanShare> {
    let mut sums: HashMap<NameId, Weight> = HashMap::new();
    for seen in seen {
        sums.entry(seen.label.unwrap_or_default().name).or_default().add(seen.weight);
    }
    let share = |(name, weight): (NameId, Weight)| SpanShare {
        name: names::text(name),
        samples: weight.count,
        cpu: Duration::from_nanos(weight.nanoseconds),
    };
    let mut shares: Vec<_> = sums.into_iter().map(share).collect();
    shares.sort_by(|a, b| b.cpu.cmp(&a.cpu).then_with(|| a.name.cmp(&b.name)));
    shares
}

/// CPU time by span of one trace, the most first.
pub(super) fn by_span<'a>(seen: impl Iterator<Item = Seen<'a>>, trace_id: u128) -> Vec<TraceSpan> {
    let mut sums: HashMap<(u64, NameId), Weight> = HashMap::new();
    for (label, weight) in seen.filter_map(|seen| Some((seen.label?, seen.weight))) {
        if label.trace_id == trace_id {
            sums.entry((label.span_id, label.name)).or_default().add(weight);
        }
    }
    let span = |((span_id, name), weight): ((u64, NameId), Weight)| TraceSpan {
        span_id,
        name: names::text(name),
        samples: weight.count,
        cpu: Duration::from_nanos(weight.nanoseconds),
    };
    let mut spans: Vec<_> = sums.into_iter().map(span).collect();
    spans.sort_by(|a, b| b.cpu.cmp(&a.cpu).then(a.span_id.cmp(&b.span_id)));
    spans
}

/// A filter whose name was looked up. Without a span there is nothing that could match a condition.
struct Wanted {
    trace_id: Option<u128>,
    span_id: Option<u64>,
    /// `Some(None)` is a name that no span ever had.
    name: Option<Option<NameId>>,
}

impl Wanted {
    fn new(filter: &Filter) -> Self {
        let name = filter.span_name.as_deref().map(|name| names::find(name).filter(|id| *id != NameId::NONE));
        Self { trace_id: filter.trace_id, span_id: filter.span_id, name }
    }

    fn matches(&self, label: Option<Label>) -> bool {
        let label = label.unwrap_or_default();
        self.trace_id.is_none_or(|id| id != 0 && label.trace_id == id)
            && self.span_id.is_none_or(|id| id != 0 && (label.span_id == id || label.root_span_id == id))
            && self.name.is_none_or(|name| name == Some(label.name) || name == Some(label.root_name))
    }
}

/// The labels of a sample, in the order of their keys. `span_id`, `span_name` and `trace_id` are those that Pyroscope's clients
/// write (grafana/otel-profiling-go, grafana/pyroscope-go).
fn labels(label: Label) -> Labels {
    let mut labels = Labels::with_capacity(5);
    if label.root_span_id != 0 {
        labels.push(("local_root_span_id", format!("{:016x}", label.root_span_id).into()));
    }
    labels.push(("local_root_span_name", names::text(label.root_name)));
    if label.span_id != 0 {
        labels.push(("span_id", format!("{:016x}", label.span_id).into()));
    }
    labels.push(("span_name", names::text(label.name)));
    if label.trace_id != 0 {
        labels.push(("trace_id", format!("{:032x}", label.trace_id).into()));
    }
    labels
}
