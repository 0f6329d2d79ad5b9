//! A trace: its spans as a tree, and what each one's time went to.

mod tree;

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::App;
use super::store::{Exemplar, Span, Store, Trace, Value};
use tree::{Node, Tree};

/// Why a trace may be missing.
pub(super) const WHY_NOT: &str = "it was not sampled, none of its spans has ended yet, it had to make room for newer ones, \
                                  or another process has it";

/// The page, and all spans for scripts.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) trace_id: String,
    /// When the first span started, in nanoseconds since the Unix epoch.
    pub(super) start_unix_ns: u64,
    /// From there to the end of the last span, in nanoseconds.
    pub(super) duration_ns: u64,
    /// How many spans ended with an error.
    pub(super) errors: usize,
    /// The CPU time that was sampled in it, in nanoseconds; none where no sample fell into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_ns: Option<u64>,
    /// The exemplars that name it.
    pub(super) exemplars: Vec<Exemplar>,
    /// Parents before their children, and these by their start.
    pub(super) spans: Vec<Row>,
    /// Of this trace, how many more there were.
    pub(super) spans_left_out: u64,
    /// The place among [`Self::spans`] of the one that the critical path is of.
    pub(super) root: usize,
}

/// A span in its place.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) span: Span,
    /// How many spans it is below.
    pub(super) depth: usize,
    /// Whether its parent should be here and is not.
    pub(super) orphan: bool,
    /// The time in which none of its children ran, in nanoseconds.
    pub(super) self_ns: u64,
    #[serde(flatten)]
    pub(super) activity: Activity,
    /// Its parts of the critical path: offsets from the trace's start, in nanoseconds.
    pub(super) critical: Vec<(u64, u64)>,
    /// Its place by start, from 0.
    #[serde(skip)]
    pub(super) by_start: usize,
    /// Of the traces that it links to, those that are here.
    #[serde(skip)]
    pub(super) kept_links: Vec<u128>,
}

/// What a span did in its own time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Activity {
    /// In nanoseconds; none where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) busy_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle_ns: Option<u64>,
    /// Whether both are estimates out of CPU samples, and not what the span says itself.
    pub(super) sampled: bool,
}

impl Activity {
    /// From the attributes that `tracing-opentelemetry` sets, otherwise from the CPU samples in the span itself.
    fn of(span: &Span, self_ns: u64, cpu_ns: Option<u64>) -> Self {
        let attribute = |key: &str| match span.attributes.iter().find(|(has, _)| has == key) {
            Some((_, Value::Int(nanos))) => u64::try_from(*nanos).ok(),
            _ => None,
        };
        match (attribute("busy_ns"), attribute("idle_ns")) {
            (None, None) => Self {
                busy_ns: cpu_ns,
                idle_ns: cpu_ns.map(|cpu| self_ns.saturating_sub(cpu)),
                sampled: cpu_ns.is_some(),
            },
            (busy_ns, idle_ns) => Self { busy_ns, idle_ns, sampled: false },
        }
    }
}

impl View {
    /// As it is now; `None` where nothing of it is here. Takes milliseconds where there are many spans.
    pub(super) fn of(app: &App, trace_id: u128) -> Option<Self> {
        let store = &app.console.store;
        let trace = store.trace(trace_id)?;
        let cpu = app.sources.spans_of(trace_id).into_iter().map(|span| (span.span_id, nanos(span.cpu))).collect();
        Self::new(trace, &cpu, store)
    }

    /// The view of spans that are here and the CPU time of some of them, by id.
    pub(super) fn new(trace: Trace, cpu: &HashMap<u64, u64>, store: &Store) -> Option<Self> {
        let Trace { trace_id, spans, spans_left_out, exemplars } = trace;
        let node = |span: &Span| Node {
            id: span.span_id,
            parent: span.parent_id,
            remote: span.remote_parent,
            start: span.start_unix_ns,
            end: span.end(),
        };
        let tree = Tree::new(spans.iter().map(node).collect());
        let start = spans.first()?.start_unix_ns;
        let end = spans.iter().map(Span::end).max()?;
        let root = tree.root()?;
        let mut critical = vec![Vec::new(); spans.len()];
        for segment in tree.critical_path(root) {
            critical[segment.at].push((segment.from - start, segment.to - start));
        }
        let mut spans: Vec<_> = spans.into_iter().map(Some).collect();
        let mut rows = Vec::with_capacity(spans.len());
        for place in &tree.places {
            // Each is in one place.
            let Some(span) = spans[place.at].take() else { continue };
            let self_ns = tree.self_ns(place.at);
            let mut kept_links: Vec<_> = span.links.iter().map(|link| link.trace_id).collect();
            kept_links.retain(|linked| store.has(*linked));
            rows.push(Row {
                depth: place.depth,
                orphan: place.orphan,
                self_ns,
                activity: Activity::of(&span, self_ns, cpu.get(&span.span_id).copied()),
                critical: std::mem::take(&mut critical[place.at]),
                by_start: place.at,
                kept_links,
                span,
            });
        }
        Some(Self {
            trace_id: format!("{trace_id:032x}"),
            start_unix_ns: start,
            duration_ns: end - start,
            errors: rows.iter().filter(|row| row.span.is_error()).count(),
            cpu_ns: (!cpu.is_empty()).then(|| cpu.values().sum()),
            exemplars,
            root: rows.iter().position(|row| row.by_start == root)?,
            spans: rows,
            spans_left_out,
        })
    }

    /// The exemplars that name a span.
    pub(super) fn exemplars_of(&self, span_id: u64) -> impl Iterator<Item = &Exemplar> {
        self.exemplars.iter().filter(move |one| one.span_id == span_id)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
