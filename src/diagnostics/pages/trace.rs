//! The page of a trace.

use axum::http::HeaderMap;
use maud::{Markup, html};

use super::{Base, command, of_span, page, per, since, span_table, table, time};
use crate::diagnostics::App;
use crate::diagnostics::spans::Spans;
use crate::diagnostics::top::FunctionTop;
use crate::diagnostics::traces::{View, Why};

/// The highest flame graph that is shown, in pixels: deeper than any stack that is recorded.
const MAX_HEIGHT: u32 = 20_000;

/// `/debug/traces/{trace_id}`.
pub(in crate::diagnostics) fn trace(app: &App, headers: &HeaderMap, view: &View) -> Markup {
    let base = Base::of(app, headers);
    let body = match &view.why {
        None => found(&base, view),
        Some(why) => missing(app, &base, view, why),
    };
    page(app, "CPU profile of a trace", &body)
}

fn found(base: &Base, view: &View) -> Markup {
    let file = format!("/debug/traces/{}?format=", view.trace_id);
    html! {
        p { "Trace " code { (view.trace_id) } ": " (view.samples) " samples, " (time(view.cpu_seconds)) " of CPU time." }
        @if let Some(page) = view.page() { p { "Its samples are in another process: " a href=(page) { (page) } "." } }
        (graph(&format!("{file}svg"), "Flame graph of the trace", view.graph_height))
        (spans(view))
        (functions(&view.functions, view.cpu_seconds))
        p { "More with Go's tools, or as " a href=(format!("{file}json")) { "JSON" } ":" }
        (command(&base.pprof("", &format!("{file}pprof"))))
    }
}

fn missing(app: &App, base: &Base, view: &View, why: &Why) -> Markup {
    let recorded = since(app);
    html! {
        p { "Trace " code { (view.trace_id) } " has no CPU sample." }
        p.note { (why.text()) }
        @if let Some(page) = view.page() { p { "So says another process, which knows more: " a href=(page) { (page) } "." } }
        @if !view.asked.is_empty() {
            p { "Asked besides this process:" }
            ul { @for asked in &view.asked { li { code { (asked.peer) } ": " (asked.outcome) "." } } }
        }
        @if let (Some(name), None) = (why.name(), &view.peer) {
            h2 { "All requests of this name" }
            @if view.samples_of_name == 0 {
                p { "No sample fell into any " code { (name) } " of the recorder's window." }
            } @else {
                p { "What " code { (name) } " and the spans inside it have cost, whichever trace they belong to: "
                    (view.samples_of_name) " samples." }
                (graph(&of_span(&recorded, name, "svg"), "Flame graph of the spans of the same name", view.graph_height))
                (command(&base.pprof("", &of_span(&recorded, name, "pprof"))))
            }
        }
        @if let Ok(spans) = Spans::of(&app.sources) {
            h2 { "All spans" }
            (span_table(&spans))
        }
    }
}

/// A flame graph in a frame of its own: it has a script, this page has none. A frame with a picture does not scroll, so
/// it is as high as the picture, in pixels.
fn graph(address: &str, what: &str, height: u32) -> Markup {
    html! {
        figure {
            iframe src=(address) title=(what) sandbox="allow-scripts allow-modals" height=(height.clamp(100, MAX_HEIGHT)) {}
            figcaption { a href=(address) { (what) } ": click to zoom, then Ctrl-F to search; in some browsers only when opened by itself" }
        }
    }
}

fn spans(view: &View) -> Markup {
    let rows = html! {
        thead { tr { th scope="col" { "Span" } th.n scope="col" { "Share" } th.n scope="col" { "CPU" } th.n.extra scope="col" { "Samples" } th scope="col" { "Id" } } }
        tbody { @for span in &view.spans {
            @let share = per(span.cpu_seconds, view.cpu_seconds);
            tr {
                td { code { (span.name) } }
                td.n { meter min="0" max="1" value=(format!("{share:.4}")) {} " " (super::share(share)) }
                td.n { (time(span.cpu_seconds)) }
                td.n.extra { (span.samples) }
                td { code { (span.span_id) } }
            }
        } }
    };
    table("Spans of this trace, those with most CPU time first", &rows)
}

fn functions(functions: &[FunctionTop], cpu_seconds: f64) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of one trace, shown in milliseconds")]
    let seconds = |nanoseconds: i64| nanoseconds as f64 / 1e9;
    let rows = html! {
        thead { tr { th scope="col" { "Function" } th.n scope="col" { "Share" } th.n scope="col" { "Itself" } th.n scope="col" { "With callees" } } }
        tbody { @for function in functions {
            tr {
                td { code { (function.name) } }
                td.n { (super::share(per(seconds(function.flat), cpu_seconds))) }
                td.n { (time(seconds(function.flat))) }
                td.n { (time(seconds(function.cum))) }
            }
        } }
    };
    table("Functions, those with most CPU time of their own first", &rows)
}
