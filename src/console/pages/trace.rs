//! A trace: what it is, the exemplars that name it, and its waterfall.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::format::{date, duration, seconds, short};
use super::histogram::address;
use super::waterfall::{MAX_ROWS, waterfall};
use super::{TRACE, page as frame, table};
use crate::console::App;
use crate::console::blocking::blocking;
use crate::console::search::like;
use crate::console::store::{Counts, Exemplar};
use crate::console::trace::View;
use crate::diagnostics::ask::trace_id_of_path;
use crate::http::problem::Problem;
use crate::names::{INSTRUMENTS, Kind};

/// How long after its last span a trace may still grow, in nanoseconds: the page is refreshed until then.
const GROWS_NS: u128 = 30_000_000_000;

/// Exemplars that are listed; a trace has one for each of its sections and buckets at most.
const MAX_EXEMPLARS: usize = 50;

/// `/console/trace/{id}`.
pub(in crate::console) async fn page(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    // As it was sent: what is encoded is no trace id.
    let trace_id = trace_id_of_path(uri.path().rsplit('/').next().unwrap_or_default())?;
    blocking(move || match View::of(&app, trace_id) {
        Some(view) => {
            let title = format!("{}, {}", short(&view.spans[view.root].span.name), duration(view.duration_ns));
            frame(TRACE, &title, grows(&view), &found(&view))
        }
        None => {
            let body = missing(&format!("{trace_id:032x}"), &app.console.counts());
            let mut response = frame(TRACE, "This trace is not here", false, &body);
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
    .await
}

fn grows(view: &View) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    now.saturating_sub(u128::from(view.start_unix_ns) + u128::from(view.duration_ns)) < GROWS_NS
}

fn found(view: &View) -> Markup {
    let root = &view.spans[view.root];
    let orphans = view.spans.iter().filter(|row| row.orphan).count();
    html! {
        p { code { (view.trace_id) } ", " time { (date(view.start_unix_ns)) } ", "
            @if view.spans.len() == 1 { "1 span" } @else { (view.spans.len()) " spans" }
            @if view.errors > 0 { ", " span.bad { (view.errors) " with an error" } } "."
        }
        nav.choices aria-label="This trace" {
            a href=(format!("/debug/traces/{}", view.trace_id)) {
                "CPU profile" @if let Some(cpu) = view.cpu_ns { " (" (duration(cpu)) " sampled)" }
            } " "
            a href=(format!("/console/search?{}", like(&root.span.name, root.span.duration_ns))) { "Find like this one" } " "
            a href=(format!("/console/api/trace/{}", view.trace_id)) { "JSON" }
        }
        @if view.spans_left_out > 0 {
            p.note { (view.spans_left_out) " more spans came when this trace had its share of the memory. Times and the \
                critical path are of those that are here." }
        }
        @if orphans > 0 {
            p.note { (orphans) " of the spans name a parent that is not here: it has not ended yet, was dropped, or is in \
                another process. They stand at the left edge." }
        }
        @if view.spans.len() > MAX_ROWS {
            p.note { "The first " (MAX_ROWS) " of " (view.spans.len()) " spans by their start, and those that exemplars name. "
                a href=(format!("/console/api/trace/{}", view.trace_id)) { "JSON" } " has all of them." }
        }
        (waterfall(view))
        @if !view.exemplars.is_empty() { (exemplars(view)) }
    }
}

fn exemplars(view: &View) -> Markup {
    html! {
        h2 { "Exemplars" }
        p { "Measurements in these histograms led here." }
        (table("Exemplars that name this trace", &html! {
            thead { tr { th scope="col" { "Histogram" } th.n scope="col" { "Value" } th scope="col" { "Span" } } }
            tbody { @for one in view.exemplars.iter().take(MAX_EXEMPLARS) { tr {
                td { (measured(one)) }
                td.n { (value(one)) }
                td {
                    @let name = view.spans.iter().find(|row| row.span.span_id == one.span_id).map(|row| &row.span.name);
                    @if let Some(name) = name { a href=(format!("#span-{:016x}", one.span_id)) { (short(name)) } }
                }
            } } }
        }))
    }
}

/// The histogram of an exemplar, with the series' attributes: a link where it is one of the console's.
pub(super) fn measured(one: &Exemplar) -> Markup {
    let known = INSTRUMENTS.iter().find(|known| known.kind == Kind::Histogram && known.name == one.series.metric);
    html! {
        @match known {
            Some(known) => {
                @let of: Vec<_> = one.series.attributes.iter().filter(|(key, _)| known.attributes.contains(&key.as_str())).cloned().collect();
                a href=(address(known.name, "15m", &of)) { (known.name) }
            }
            None => (short(&one.series.metric)),
        }
        @for (_, value) in &one.series.attributes { " " (short(value)) }
    }
}

/// The value of an exemplar in its unit.
pub(super) fn value(one: &Exemplar) -> String {
    let unit = INSTRUMENTS.iter().find(|known| known.name == one.series.metric).map_or("", |known| known.unit);
    if unit == "s" { seconds(one.value) } else { format!("{} {unit}", super::format::digits(one.value)) }
}

fn missing(trace_id: &str, counts: &Counts) -> Markup {
    html! {
        p { "No span of trace " code { (trace_id) } " is kept in this process. One of these is why:" }
        ul {
            li { "It was not sampled. Then no span of it was recorded anywhere." }
            li { "It is still running: a span is known when it has ended. Reload this page in a moment." }
            @if counts.traces_gone > 0 { li { "It had to make room: " (counts.traces_gone) " traces have gone from here, and "
                (counts.traces) " are kept. Those that an exemplar names go last; " code { "PHASELAB_CONSOLE_BYTES" } " gives more room." } }
            li { "Another process has it: a worker, or the service before it was started again. "
                a href=(format!("/debug/traces/{trace_id}")) { "The profile of this trace" } " is asked for there too." }
        }
        p { a href="/console/search" { "Search what is here" } " or choose an exemplar in a " a href="/console/histogram" { "histogram" } "." }
    }
}
