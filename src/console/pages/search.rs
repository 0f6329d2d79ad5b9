//! The search: a form whose address is what it asks for, and what was found.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::format::{date, duration, short};
use super::{SEARCH, page as frame, table};
use crate::console::App;
use crate::console::blocking::blocking;
use crate::console::search::{Ask, Search};
use crate::http::problem::Problem;

/// The time ranges that the form offers.
const SINCE: [(&str, &str); 4] =
    [("", "any time"), ("1m", "last minute"), ("5m", "last 5 minutes"), ("15m", "last 15 minutes")];

/// `/console/search`.
pub(in crate::console) async fn page(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref(), SystemTime::now());
    blocking(move || {
        if ask.faults.is_empty() {
            let search = Search::of(&app, &ask.query);
            return frame(SEARCH, "Search", false, &html! { (form(&ask)) (found(&ask, &search)) });
        }
        let mut response = frame(SEARCH, "Search", false, &html! { (faults(&ask)) (form(&ask)) });
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    })
    .await
}

fn faults(ask: &Ask) -> Markup {
    html! {
        div.note role="alert" {
            p { "This cannot be searched for:" }
            ul { @for fault in &ask.faults { li {
                code { (fault.parameter) "=" (fault.value) } ": " (fault.bound)
            } } }
        }
    }
}

fn form(ask: &Ask) -> Markup {
    let wrong = |name: &str| ask.faults.iter().any(|fault| fault.parameter == name).then_some("true");
    let long = |name: &str| ["trace_id", "name", "attributes"].contains(&name).then_some("long");
    let field = |name: &str, label: &str, example: &str| {
        html! {
            label class=[long(name)] { span { (label) } input name=(name) value=(ask.given(name)) placeholder=(example) aria-invalid=[wrong(name)] autocomplete="off" spellcheck="false"; }
        }
    };
    let choice = |name: &str, label: &str, options: &[(&str, &str)]| {
        html! {
            label { span { (label) }
                select name=(name) aria-invalid=[wrong(name)] {
                    @let given = ask.given(name);
                    @for (value, text) in options { option value=(value) selected[*value == given] { (text) } }
                    // What the form does not offer was written into the address.
                    @if !options.iter().any(|(value, _)| *value == given) { option value=(given) selected { (given) } }
                }
            }
        }
    };
    html! {
        form.search method="get" action="/console/search" role="search" {
            (field("trace_id", "Trace id", "32 hexadecimal digits"))
            (field("name", "Span name", "GET /api/work"))
            (field("attributes", "Attributes of the span", "http.route=/api/work"))
            (field("min_duration", "Took at least", "250ms"))
            (field("max_duration", "Took at most", "1s500ms"))
            (choice("error", "Errors", &[("", "with or without"), ("true", "only with an error"), ("false", "only without")]))
            (choice("exemplar", "Exemplars", &[("", "all traces"), ("true", "only exemplars'")]))
            (choice("since", "Started", &SINCE))
            (field("from", "From (UTC)", "2026-01-31T13:05:00"))
            (field("to", "To (UTC)", "2026-01-31T13:10:00"))
            (choice("sort", "Order", &[("", "newest first"), ("slowest", "slowest first")]))
            (choice("limit", "List", &[("", "50 traces at most"), ("200", "200 at most"), ("500", "500 at most")]))
            p { button type="submit" { "Search" } " " a href="/console/search" { "Clear" } }
        }
    }
}

fn found(ask: &Ask, search: &Search) -> Markup {
    let of_span = ask.query.name.is_some() || !ask.query.attributes.is_empty();
    html! {
        h2 { @match search.traces.len() { 1 => "1 trace", many => { (many) " traces" } } }
        @if search.traces.is_empty() { (nothing(ask, search)) } @else {
            p.about {
                @if ask.query.slowest { "The slowest first; " a href=(there(&ask.with("sort", "newest"))) { "newest first" } }
                @else { "The newest first; " a href=(there(&ask.with("sort", "slowest"))) { "slowest first" } }
                "." @if search.limited { " There may be more." } " "
                a href=(format!("/console/api/search?{}", ask.address())) { "JSON" }
            }
            (table("Traces that were found", &html! {
                thead { tr {
                    th scope="col" { "Trace" }
                    @if of_span { th scope="col" { "Span" } th.n scope="col" { "Took" } }
                    th.n scope="col" { @if of_span { "Whole trace" } @else { "Took" } }
                    th.n scope="col" { "Spans" }
                    th.n.extra scope="col" { "Started (UTC)" }
                    th.extra scope="col" { "Id" }
                } }
                tbody { @for one in &search.traces {
                    @let id = format!("{:032x}", one.trace_id);
                    tr {
                        td.fold {
                            @if one.exemplar { span.named title="An exemplar names it" { "◆\u{a0}" } }
                            a href=(format!("/console/trace/{id}")) { (short(&one.name)) }
                            @if one.error { " " span.bad { "error" } }
                        }
                        @if of_span {
                            td.fold { a href=(format!("/console/trace/{id}#span-{:016x}", one.span_id)) { (short(&one.span_name)) } }
                            td.n { (duration(one.span_duration_ns)) }
                        }
                        td.n { (duration(one.duration_ns)) }
                        td.n { (one.spans) }
                        td.n.extra { (date(one.start_unix_ns)) }
                        td.extra { code { (id[..8]) "…" } }
                    }
                } }
            }))
        }
    }
}

fn there(query: &str) -> String {
    format!("/console/search?{query}")
}

fn nothing(ask: &Ask, search: &Search) -> Markup {
    html! {
        @if search.store.traces == 0 {
            p.note { "No trace has been kept yet: send the service a request. Where " code { "OTEL_TRACES_SAMPLER" } " samples \
                nothing there is none at all." }
        } @else if ask.is_narrow() {
            p.note { "None of the " (search.store.traces) " traces that are kept has all of this in one span. " (search.store.traces_gone)
                " have gone, because newer ones needed their room. Names and values are compared whole, and a duration is \
                that of the span where a name or an attribute is asked for, and of the whole trace otherwise." }
        }
    }
}
