//! The spans of a trace along its time, each with what is known of it.

use maud::{Markup, html};

use super::format::{duration, offset, short};
use super::trace::{measured, value};
use crate::console::search::{attributes, like};
use crate::console::store::{Event, Kind, Span, Status, Value};
use crate::console::trace::{Row, View};

/// Spans that are shown: more are no picture, and each is some hundred bytes of page.
pub(super) const MAX_ROWS: usize = 500;

/// What the details of all spans may take: beyond it they are in the JSON only.
const MAX_DETAILS_BYTES: usize = 1 << 20;

/// Deeper spans stand no further to the right.
const MAX_INDENT: usize = 12;

/// The width of a bar in its own units.
const WIDTH: f64 = 1_000.0;

/// Longer texts do not lead to a search.
const MAX_SEARCHED_BYTES: usize = 128;

/// Events of a span that are drawn and listed.
const MAX_EVENTS: usize = 100;

/// The spans in the order of their tree, under an axis.
pub(super) fn waterfall(view: &View) -> Markup {
    let named: std::collections::HashSet<_> = view.exemplars.iter().map(|one| one.span_id).collect();
    let shown = |row: &&Row| row.by_start < MAX_ROWS || named.contains(&row.span.span_id);
    let mut left = MAX_DETAILS_BYTES;
    html! {
        p.legend {
            span.key.path { "critical path" } " what the end waited for. "
            @if !named.is_empty() { span.key.named { "◆" } "an exemplar names it. " }
            "Open a span for what it says of itself."
        }
        div.waterfall {
            div.heads aria-hidden="true" {
                span { "Span" }
                span.ticks { @for part in 0..=4 { span { (offset(view.duration_ns / 4 * part)) } } }
                span.n { "Duration" }
                span.n { "Self" }
            }
            ol aria-label="Spans, each below its parent" {
                @for row in view.spans.iter().filter(shown).take(2 * MAX_ROWS) { (one(view, row, &mut left)) }
            }
        }
    }
}

fn one(view: &View, row: &Row, left: &mut usize) -> Markup {
    let span = &row.span;
    let named = view.exemplars_of(span.span_id).next().is_some();
    let details = details(view, row);
    let fits = details.0.len() <= *left;
    *left = left.saturating_sub(details.0.len());
    html! {
        li id=(format!("span-{:016x}", span.span_id)) {
            details {
                summary {
                    span class=(format!("name d{}", row.depth.min(MAX_INDENT))) {
                        @if named { span.named title="An exemplar names this span" { "◆\u{a0}" } }
                        @if span.is_error() { span.bad { "✗\u{a0}" span.unseen { "error: " } } }
                        (short(&span.name))
                        @if row.orphan { span.about { " (parent missing)" } }
                    }
                    (bar(view, row))
                    span.n { (duration(span.duration_ns)) }
                    span.n { (duration(row.self_ns)) }
                }
                @if fits { (details) } @else {
                    p.about { "The page is full: " a href=(format!("/console/api/trace/{}", view.trace_id)) { "JSON" } " has what this span says." }
                }
            }
        }
    }
}

/// Where it is in the trace's time: the whole span, its parts of the critical path below, and its events.
fn bar(view: &View, row: &Row) -> Markup {
    let scale = WIDTH / view.duration_ns.max(1) as f64;
    let x = |offset: u64| offset as f64 * scale;
    let start = row.span.start_unix_ns.saturating_sub(view.start_unix_ns);
    let events = row.span.events.iter().take(MAX_EVENTS).map(|event| event.unix_ns.saturating_sub(view.start_unix_ns));
    html! {
        svg.bar viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true" {
            @for part in 1..4 { line.grid x1=(250 * part) x2=(250 * part) y1="0" y2="20" {} }
            rect class=(if row.span.is_error() { "time failed" } else { "time" })
                x=(number(x(start).min(WIDTH - 2.0))) y="3" width=(number(x(row.span.duration_ns).max(2.0))) height="14" {}
            @for (from, to) in seen(&row.critical, scale) { rect.path x=(number(from)) y="13" width=(number(to - from)) height="4" {} }
            @for at in events { line.event x1=(number(x(at))) x2=(number(x(at))) y1="1" y2="13" {} }
        }
    }
}

/// Parts that could be told from each other: others are one. So a bar has at most as many as it has units.
fn seen(parts: &[(u64, u64)], scale: f64) -> Vec<(f64, f64)> {
    let mut seen: Vec<(f64, f64)> = Vec::new();
    for (from, to) in parts.iter().map(|(from, to)| (*from as f64 * scale, *to as f64 * scale)) {
        match seen.last_mut() {
            Some((_, end)) if from - *end < 1.0 => *end = to,
            _ => seen.push((from, to.max(from + 1.0))),
        }
    }
    seen
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn details(view: &View, row: &Row) -> Markup {
    let span = &row.span;
    let critical: u64 = row.critical.iter().map(|(from, to)| to - from).sum();
    let profile = format!("/debug/pprof/profile?trace_id={}&span_id={:016x}&format=svg", view.trace_id, span.span_id);
    html! {
           div.more {
               p.actions {
                   @if row.activity.sampled { a href=(profile) { "CPU profile of this span" } " " }
                   a href=(format!("/console/search?{}", like(&span.name, span.duration_ns))) { "Find like this one" }
               }
               dl {
                   @if span.name != short(&span.name) { dt { "Name" } dd { (span.name) } }
                   @for one in view.exemplars_of(span.span_id) { dt { "Exemplar of" } dd { (measured(one)) ": " strong { (value(one)) } } }
                   @if let Status::Error(why) = &span.status { dt { "Error" } dd.bad { @if why.is_empty() { "without a description" } @else { (why) } } }
                   dt { "Started" } dd {
    @match span.start_unix_ns.saturating_sub(view.start_unix_ns) { 0 => "with the trace", after => { (offset(after)) " after the trace did" } } }
                   dt { "Took" } dd { (duration(span.duration_ns)) ", of which itself " (duration(row.self_ns))
                       @if critical > 0 { " and on the critical path " (duration(critical)) } }
                   @if let Some(busy) = row.activity.busy_ns { dt { "Busy" } dd { @if row.activity.sampled { "about " } (duration(busy)) @if row.activity.sampled { ", by CPU samples in it" } } }
                   @if let Some(idle) = row.activity.idle_ns { dt { "Idle" } dd { @if row.activity.sampled { "about " } (duration(idle)) @if row.activity.sampled { " of its own time" } } }
                   dt { "Kind" } dd { (kind(span.kind)) @if span.status == Status::Ok { ", ended well" } }
                   dt { "Id" } dd { code { (format!("{:016x}", span.span_id)) }
                       @if let Some(parent) = span.parent_id {
                           ", parent " code { (format!("{parent:016x}")) } @if span.remote_parent { " in another process" }
                       } }
                   @for link in &span.links { dt { "Link" } dd {
                       @let id = format!("{:032x}", link.trace_id);
                       @if row.kept_links.contains(&link.trace_id) {
                           a href=(format!("/console/trace/{id}#span-{:016x}", link.span_id)) { code { (id) } }
                       } @else { code { (id) } ", which is not kept here" }
                   } }
               }
               @if !span.attributes.is_empty() { (listed("Attributes", &span.attributes)) }
               @if !span.events.is_empty() { (events(span)) }
               @if span.left_out > 0 { p.about { (span.left_out) " attributes, events and links were left out by a limit." } }
           }
       }
}

fn events(span: &Span) -> Markup {
    let at = |event: &Event| offset(event.unix_ns.saturating_sub(span.start_unix_ns));
    html! {
        h3 { "Events" }
        ul { @for event in span.events.iter().take(MAX_EVENTS) { li {
            (event.name) " " span.about { "after " (at(event)) }
            @if !event.attributes.is_empty() { (pairs(&event.attributes, false)) }
        } } }
        @if span.events.len() > MAX_EVENTS { p.about { (span.events.len() - MAX_EVENTS) " more are in the JSON." } }
    }
}

fn listed(title: &str, of: &[(String, Value)]) -> Markup {
    html! { h3 { (title) } (pairs(of, true)) }
}

/// A value that can be searched for leads there.
fn pairs(of: &[(String, Value)], searched: bool) -> Markup {
    html! {
        dl.pairs { @for (key, value) in of {
            @let text = value.to_string();
            dt { (key) }
            dd {
                @if searched && key.len() + text.len() <= MAX_SEARCHED_BYTES && attributes::is_key(key) {
                    a href=(format!("/console/search?attributes={}", crate::config::percent::encode(&attributes::write(key, &text)))) { (text) }
                } @else { (text) }
            }
        } }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Internal => "internal",
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    }
}

#[cfg(test)]
mod tests;
