//! A trace: its spans as a waterfall.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::format::{clock, seconds};
use super::{HISTOGRAM, page as frame, table};
use crate::console::App;
use crate::console::store::{Span, Status, Trace, Value};
use crate::diagnostics::ask::trace_id_of_path;
use crate::http::problem::{Kind, Problem};

/// Spans that are listed; a trace may have ten thousand, which no browser likes to show.
const MAX_ROWS: usize = 1_000;

/// Steps that a name is moved in by at most.
const MAX_DEPTH: usize = 12;

/// The trace that an address ends with.
///
/// # Errors
/// When that is no trace id, or the trace is not here.
pub(in crate::console) fn find(app: &App, uri: &Uri) -> Result<Trace, Problem> {
    // As it was sent: what is encoded is no trace id, and may be no text.
    let trace_id = trace_id_of_path(uri.path().rsplit('/').next().unwrap_or_default())?;
    app.console.store.trace(trace_id).ok_or_else(|| {
        let detail = format!(
            "trace {trace_id:032x} is not kept here: it was not sampled, made room for newer ones, or belongs to another \
             process; /debug/traces/{trace_id:032x} may still have its CPU profile"
        );
        Problem::new(Kind::NotFound, detail)
    })
}

/// `/console/trace/{trace_id}`.
pub(in crate::console) async fn page(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let trace = find(&app, &uri)?;
    let id = format!("{:032x}", trace.trace_id);
    let start = trace.spans.first().map_or(0, |span| span.start_unix_ns);
    let end = trace.spans.iter().map(|span| span.start_unix_ns + span.duration_ns).max().unwrap_or(start);
    let rows = ordered(&trace.spans);
    let body = html! {
        p {
            "Trace " code { (id) } ": " (trace.spans.len()) " spans from " (clock(start)) " UTC, " (nanos(end - start)) ". "
            a href=(format!("/debug/traces/{id}")) { "Its CPU profile" } ", "
            a href=(format!("/console/api/traces/{id}")) { "JSON" } "."
        }
        @if trace.spans_left_out > 0 {
            p.note { (trace.spans_left_out) " more spans had no room: one trace may take a sixteenth of what all take." }
        }
        @if rows.len() > MAX_ROWS { p.note { "The first " (MAX_ROWS) " spans are shown; the JSON has all that are kept." } }
        @if !trace.exemplars.is_empty() { p { "It is the exemplar of "
            @for (at, one) in trace.exemplars.iter().enumerate() { @if at > 0 { ", " } code { (one.series.metric) } " " (seconds(one.value)) }
        "." } }
        (table("Spans, each below its parent", &html! {
            thead { tr { th scope="col" { "Span" } th.extra scope="col" { "From start to end" } th.n scope="col" { "Start" } th.n scope="col" { "Duration" } } }
            tbody { @for (depth, span) in rows.iter().take(MAX_ROWS) { (row(*depth, span, start, end)) } }
        }))
    };
    Ok(frame(HISTOGRAM, trace.spans.first().map_or("Trace", |span| &span.name), false, &body))
}

fn nanos(nanos: u64) -> String {
    seconds(nanos as f64 / 1e9)
}

fn row(depth: usize, span: &Span, start: u64, end: u64) -> Markup {
    let share = |nanos: u64| format!("{:.2}", nanos as f64 * 100.0 / (end - start).max(1) as f64);
    let failed = matches!(span.status, Status::Error(_));
    html! {
        tr {
            td class=(format!("depth{}", depth.min(MAX_DEPTH))) {
                details {
                    summary.bad[failed] { (span.name) @if failed { " ✗" } @if span.marked { " ◆" } }
                    (attributes(span))
                }
            }
            td.extra {
                svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                    rect.failed[failed] x=(share(span.start_unix_ns - start)) y="1" width=(share(span.duration_ns)) height="8" {}
                }
            }
            td.n { "+" (nanos(span.start_unix_ns - start)) }
            td.n { (nanos(span.duration_ns)) }
        }
    }
}

fn attributes(span: &Span) -> Markup {
    let pairs = |attributes: &[(String, Value)]| {
        html! { @for (key, value) in attributes { dt { (key) } dd { code { (value) } } } }
    };
    html! {
        dl {
            @if let Status::Error(text) = &span.status { dt { "error" } dd { code { (text) } } }
            (pairs(&span.attributes))
            @for event in &span.events {
                dt { "event " strong { (event.name) } " after " (nanos(event.unix_ns.saturating_sub(span.start_unix_ns))) }
                dd { dl { (pairs(&event.attributes)) } }
            }
            @for link in &span.links {
                dt { "link" }
                dd { a href=(super::chart::trace(link.trace_id)) { code { (format!("{:032x}", link.trace_id)) } } }
            }
            dt { "span id" } dd { code { (format!("{:016x}", span.span_id)) } }
            @if span.left_out > 0 { dt { "left out" } dd { (span.left_out) " attributes, events or links" } }
        }
    }
}

/// Each span after its parent, children by their start, with its depth. A span whose parent is not here has none.
fn ordered(spans: &[Span]) -> Vec<(usize, &Span)> {
    let here: HashSet<_> = spans.iter().map(|span| span.span_id).collect();
    let mut children: HashMap<Option<u64>, Vec<&Span>> = HashMap::new();
    for span in spans {
        children.entry(span.parent_id.filter(|parent| here.contains(parent))).or_default().push(span);
    }
    let mut open: Vec<_> = children.remove(&None).unwrap_or_default().into_iter().rev().map(|span| (0, span)).collect();
    let mut rows = Vec::with_capacity(spans.len());
    while let Some((depth, span)) = open.pop() {
        rows.push((depth, span));
        let below = children.remove(&Some(span.span_id)).unwrap_or_default();
        open.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    // What is its own ancestor has no first one; nothing is left out all the same.
    let mut rest: Vec<_> = children.into_values().flatten().map(|span| (0, span)).collect();
    rest.sort_by_key(|(_, span)| (span.start_unix_ns, span.span_id));
    rows.extend(rest);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::store::Kind as SpanKind;

    #[test]
    fn spans_stand_below_their_parents_whatever_ids_say() {
        let span = |span_id, parent_id| Span {
            span_id,
            parent_id,
            remote_parent: false,
            name: String::new(),
            kind: SpanKind::Internal,
            start_unix_ns: 0,
            duration_ns: 0,
            status: Status::Unset,
            marked: false,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            left_out: 0,
        };
        // The last two are each other's parents, as no honest program says.
        let spans = [
            span(1, None),
            span(2, Some(1)),
            span(3, Some(1)),
            span(4, Some(2)),
            span(5, Some(99)),
            span(6, Some(7)),
            span(7, Some(6)),
        ];
        let rows: Vec<_> = ordered(&spans).iter().map(|(depth, span)| (*depth, span.span_id)).collect();
        assert_eq!(rows, [(0, 1), (1, 2), (2, 4), (1, 3), (0, 5), (0, 6), (0, 7)]);
    }
}
