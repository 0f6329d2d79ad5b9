//! A histogram: heatmap, buckets, exemplars.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};

use super::chart::{bucket_name, heatmap, trace};
use super::format::{clock, digits, seconds};
use super::{HISTOGRAM, page as frame, table};
use crate::config::percent::encode;
use crate::console::App;
use crate::console::histogram::{Ask, Histogram, QUANTILES, TIMES, histograms};
use crate::console::store::history::quantile::quantile;
use crate::http::problem::Problem;

/// Exemplars in the table, the newest first.
const MAX_LISTED: usize = 50;

/// `/console/histogram`.
pub(in crate::console) async fn page(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref())?;
    let histogram = Histogram::of(&app, &ask);
    let recorded = histograms().filter(|one| !app.console.history.counted(one.name).is_empty());
    let body = html! {
        nav.choices aria-label="Instruments" {
            @for one in recorded {
                (choice(one.name, one.name == ask.instrument.name, &address(one.name, ask.time.0, &[]))) " "
            }
        }
        p.about { (ask.instrument.description) "." }
        nav.choices aria-label="Time" {
            @for (name, _) in &TIMES {
                (choice(name, *name == ask.time.0, &address(ask.instrument.name, name, &ask.attributes))) " "
            }
        }
        @match &histogram {
            None => p.note { "Nothing has been recorded yet: send the service a request, and this page shows it." },
            Some(of) => (found(&ask, of)),
        }
    };
    Ok(frame(HISTOGRAM, ask.instrument.name, true, &body))
}

fn found(ask: &Ask, of: &Histogram) -> Markup {
    let here = |attributes: &[(String, String)]| address(of.metric, ask.time.0, attributes);
    html! {
        // A choice of one is none, unless it was made.
        @for (key, values) in of.choices().into_iter().filter(|(key, values)| values.len() > 1 || of.attributes.iter().any(|(of, _)| of == key)) {
            @let chosen = of.attributes.iter().find(|(of, _)| *of == key).map(|(_, value)| value);
            @let others: Vec<_> = of.attributes.iter().filter(|(of, _)| *of != key).cloned().collect();
            nav.choices aria-label=(key) {
                span { (key) } " "
                (choice("all", chosen.is_none(), &here(&others))) " "
                @for value in &values {
                    @let with = others.iter().cloned().chain([(key.clone(), value.clone())]).collect::<Vec<_>>();
                    (choice(value, chosen == Some(value), &here(&with))) " "
                }
            }
        }
        figure.wide.newest tabindex="0" {
            (heatmap(of))
            figcaption {
                span.key { "◆ exemplar: a link to its trace" } " "
                @for (name, _) in QUANTILES { span class=(format!("key {name}")) { (name) } " " }
                "The stronger the colour, the more, by the logarithm."
            }
        }
        div.columns { section { (buckets(of)) } section { (exemplars(of)) } }
        p.about { a href=(format!("/console/api{}", here(&of.attributes).trim_start_matches("/console"))) { "JSON" } }
    }
}

fn buckets(of: &Histogram) -> Markup {
    let total = of.over_time.total();
    let all: u64 = total.iter().sum();
    let newest = |bucket: usize| of.exemplars.iter().rev().find(|one| of.bucket(one.value) == bucket);
    let at = |q| quantile(&of.over_time.bounds, &total, q).map_or_else(|| "–".to_owned(), seconds);
    html! {
        h2 { "Buckets" }
        p { (all) " in this time" @for (name, q) in QUANTILES { ", " (name) " " (at(q)) } "." }
        (table("What was counted in this time", &html! {
            thead { tr { th scope="col" { "Bucket" } th.n scope="col" { "Count" } th.n.extra scope="col" { "Since the start" } th scope="col" { "Newest exemplar" } } }
            tbody { @for (bucket, count) in total.iter().enumerate().filter(|(at, count)| **count + of.since_start.0[*at] > 0) { tr {
                th scope="row" { (bucket_name(of, bucket)) }
                td.n { meter min="0" max=(all.max(1)) value=(count) {} " " (count) }
                td.n.extra { (of.since_start.0[bucket]) }
                td { @if let Some(one) = newest(bucket) { a href=(trace(one.trace_id)) { (seconds(one.value)) } } }
            } } }
        }))
    }
}

fn exemplars(of: &Histogram) -> Markup {
    html! {
        h2 { "Exemplars" }
        @if of.exemplars.is_empty() { p { "None in this time." } } @else {
            (table("Measurements that lead to their trace, the newest first", &html! {
                thead { tr { th scope="col" { "Trace" } th.n scope="col" { "Value" } th.n scope="col" { "Time (UTC)" } th.extra scope="col" { "Attributes" } } }
                tbody { @for one in of.exemplars.iter().rev().take(MAX_LISTED) { tr {
                    td { a href=(trace(one.trace_id)) { code { (format!("{:032x}", one.trace_id)[..8]) "…" } } }
                    td.n { (seconds(one.value)) }
                    td.n { (clock(one.unix_ns)) }
                    td.extra { @for (_, value) in &one.series.attributes { (value) " " } }
                } } }
            }))
            @if of.exemplars.len() > MAX_LISTED { p.about { (digits(of.exemplars.len() as f64)) " in the chart." } }
        }
    }
}

/// A link that chooses something, unless it is chosen already.
fn choice(text: &str, chosen: bool, address: &str) -> Markup {
    html! { a href=(address) aria-current=[chosen.then_some("true")] { (text) } }
}

/// Where a histogram is shown.
pub(super) fn address(metric: &str, time: &str, attributes: &[(String, String)]) -> String {
    let mut address = format!("/console/histogram?metric={}&time={time}", encode(metric));
    for (key, value) in attributes {
        address.push_str(&format!("&{}={}", encode(key), encode(value)));
    }
    address
}
