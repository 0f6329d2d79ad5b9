//! The overview.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::chart::sparkline;
use super::format::{digits, maybe_seconds, percent};
use super::{OVERVIEW, page as frame, table};
use crate::config::percent::encode;
use crate::console::App;
use crate::console::overview::{Overview, Row};
use crate::names::{HTTP_SERVER_REQUEST_DURATION, SECTION_DURATION};

/// `/console/`.
pub(in crate::console) async fn page(State(app): State<Arc<App>>) -> Response {
    let overview = Overview::of(&app);
    let body = html! {
        p.about { "One process, the last " (digits(overview.seconds)) " s. Click a row for its histogram, and a diamond there for a trace." }
        (tiles(&overview.requests))
        h2 { "Routes" }
        (rows(HTTP_SERVER_REQUEST_DURATION.name, "Requests by route", &overview.routes, "No request yet."))
        h2 { "Phases of the work" }
        (rows(SECTION_DURATION.name, "Phases of the work", &overview.sections, "No work yet: GET /api/work does some."))
        div.columns {
            section { h2 { "Hot now" } p.about { "CPU time by span, as far back as the recorder reaches." } (hot(&overview)) }
            section { h2 { "Scenarios" } (scenarios(&overview)) }
        }
        (store(&overview))
    };
    frame(OVERVIEW, &overview.service, true, &body)
}

fn tiles(all: &Row) -> Markup {
    let tile = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    html! {
        dl.tiles {
            (tile("Requests", format!("{}/s", digits(all.rate))))
            (tile("Errors", percent(all.errors.unwrap_or_default())))
            (tile("p50", maybe_seconds(all.p50)))
            (tile("p95", maybe_seconds(all.p95)))
            (tile("p99", maybe_seconds(all.p99)))
        }
    }
}

fn rows(metric: &str, caption: &str, rows: &[Row], none: &str) -> Markup {
    if rows.is_empty() {
        return html! { p { (none) } };
    }
    let errors = rows.iter().any(|row| row.errors.is_some());
    table(
        caption,
        &html! {
            thead { tr {
                th scope="col" { "Name" }
                th.n scope="col" { "Rate" }
                @if errors { th.n scope="col" { "Errors" } }
                th.n scope="col" { "p50" } th.n scope="col" { "p95" } th.n.extra scope="col" { "p99" }
                th.extra scope="col" { "Rate, 5 min" } th.extra scope="col" { "p95, 5 min" }
            } }
            tbody { @for row in rows {
                @let name = row.attributes.iter().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()).collect::<Vec<_>>().join(" ");
                tr {
                    th scope="row" { a href=(histogram(metric, row)) { (if name.is_empty() { "(no route)" } else { &name }) } }
                    td.n { (digits(row.rate)) "/s" }
                    @if let Some(errors) = row.errors { td.n.bad[errors > 0.0] { (percent(errors)) } }
                    td.n { (maybe_seconds(row.p50)) }
                    td.n { (maybe_seconds(row.p95)) }
                    td.n.extra { (maybe_seconds(row.p99)) }
                    td.extra { (sparkline(&format!("Rate of {name} over the last five minutes"), &row.rates.iter().map(|rate| Some(*rate)).collect::<Vec<_>>())) }
                    td.extra { (sparkline(&format!("p95 of {name} over the last five minutes"), &row.p95s)) }
                }
            } }
        },
    )
}

fn histogram(metric: &str, row: &Row) -> String {
    let mut address = format!("/console/histogram?metric={}", encode(metric));
    for (key, value) in row.attributes.iter().filter(|(_, value)| !value.is_empty()) {
        address.push_str(&format!("&{key}={}", encode(value)));
    }
    address
}

fn hot(overview: &Overview) -> Markup {
    if overview.hot.is_empty() {
        return html! { p { "No sample yet, or the recorder is off: " code { "PHASELAB_PROFILER_HZ" } "." } };
    }
    table(
        "CPU time by span, as far back as the recorder reaches",
        &html! {
            thead { tr { th scope="col" { "Span" } th.n scope="col" { "Share of CPU" } } }
            tbody { @for row in &overview.hot { tr {
                td { @if row.name.is_empty() { em { "outside of any span" } } @else {
                    a href=(format!("/debug/pprof/profile?since={}&span={}&format=svg", overview.hot_since, encode(&row.name))) { (row.name) }
                } }
                td.n { meter min="0" max="1" value=(format!("{:.4}", row.share)) {} " " (percent(row.share)) }
            } } }
        },
    )
}

fn scenarios(overview: &Overview) -> Markup {
    if overview.scenarios.is_empty() {
        return html! { p { "This process has none." } };
    }
    table(
        "What can be switched on",
        &html! {
            thead { tr { th scope="col" { "Scenario" } th scope="col" { "State" } th scope="col" { "Switch" } } }
            tbody { @for one in &overview.scenarios {
                @let action = if one.state == "stopped" { "start" } else { "stop" };
                tr {
                    td { strong { (one.name) } br; span.about { (one.summary) } }
                    td.running[one.state != "stopped"] { (one.state) }
                    td { form method="post" action=(format!("/console/scenarios/{}", one.name)) {
                        button name="action" value=(action) aria-label=(format!("{action} {}", one.name)) { (action) }
                    } }
                }
            } }
        },
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn store(overview: &Overview) -> Markup {
    let counts = &overview.store;
    let mebibytes = |bytes: usize| bytes as f64 / 1_048_576.0;
    html! {
        p.about {
            "Kept: " (counts.traces) " traces, " (counts.exemplars) " of them for exemplars at most, in "
            (digits(mebibytes(counts.bytes))) " of " (digits(mebibytes(counts.bytes_limit))) " MiB."
            @if counts.traces_gone > 0 { " Gone: " (counts.traces_gone) " traces." }
            @if counts.spans_dropped + counts.spans_left_out > 0 { " Left out: " (counts.spans_dropped + counts.spans_left_out) " spans." }
            @if counts.series_left_out > 0 { " More series than there is room for." }
            " " a href="/console/api/overview" { "JSON" }
        }
    }
}
