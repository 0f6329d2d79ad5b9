//! What people see: pages without scripts, that a phone can show, with commands to copy.

mod trace;

use axum::http::{HeaderMap, header};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

use super::App;
use super::answer::Form;
use super::profiles::UNSUPPORTED;
use super::spans::Spans;
use crate::config::{duration, percent};

pub(super) use trace::trace;

const STYLE: &str = include_str!("pages/style.css");

/// `/debug/style.css`.
pub(super) async fn style() -> Response {
    let mut response = Form::Text.with(STYLE);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/css; charset=utf-8"));
    response
}

/// How this server is addressed in a command line.
pub(super) struct Base {
    host: String,
    needs_token: bool,
}

impl Base {
    /// As the client itself has addressed it; the access rules have checked that it is one of our names.
    pub(super) fn of(app: &App, headers: &HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:6060");
        Self { host: host.to_owned(), needs_token: app.access.needs_token() }
    }

    /// The address of a path as a quoted word of a shell. Everything in `path` that is not ours is percent-encoded.
    fn url(&self, path: &str) -> String {
        if self.needs_token {
            format!("\"http://:$TOKEN@{}{path}\"", self.host)
        } else {
            format!("'http://{}{path}'", self.host)
        }
    }

    fn pprof(&self, flags: &str, path: &str) -> String {
        format!("go tool pprof {flags}{}", self.url(path))
    }

    /// Names the server: the command's own default is another one's address.
    fn phaselab(&self, flags: &str) -> String {
        let token = if self.needs_token { " --token-file path/to/token" } else { "" };
        format!("phaselab profile --url 'http://{}'{token} {flags}", self.host)
    }

    fn curl(&self, to: &str, path: &str) -> String {
        format!("curl -fsS -o {to} {}", self.url(path))
    }
}

/// The recorder's window, as the value of a parameter; empty where it is off.
fn since(app: &App) -> String {
    app.sources.recorder().map(|recorder| duration::format(recorder.window)).unwrap_or_default()
}

/// The head of a page, with what else belongs there.
pub(crate) fn head(title: &str, more: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="stylesheet" href="/debug/style.css";
            link rel="icon" href="data:,";
            (more)
        }
    }
}

/// The frame of every page.
fn page(app: &App, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{title} · phaselab diagnostics"), &html! {}))
            body {
                header {
                    nav aria-label="Pages" {
                        @if app.sources.console().is_some() { a href="/console/" { "Console" } " " }
                        a href="/debug/pprof/" { "Profiles" } " " a href="/debug/spans" { "Spans" }
                    }
                }
                main { h1 { (title) } (body) }
            }
        }
    }
}

/// A command to copy: one click selects all of it.
fn command(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}

/// A table that scrolls by itself where the screen is narrow.
pub(crate) fn table(caption: &str, body: &Markup) -> Markup {
    html! { div.wide tabindex="0" role="region" aria-label=(caption) { table { caption { (caption) } (body) } } }
}

/// `/debug/pprof/`.
pub(super) fn index(app: &App, headers: &HeaderMap) -> Markup {
    let base = Base::of(app, headers);
    let recorder = app.sources.recorder().ok();
    let recorded = format!("profile?since={}", since(app));
    let body = html! {
        p { "Profiles of " strong { (app.service) } ", labelled with the span that each sample was taken in." }
        @if base.needs_token {
            p { "This server asks for a token. The commands read it from a variable:" }
            (command("TOKEN=$(cat path/to/token)"))
        }
        h2 id="profile" { "profile" }
        p { "CPU: where time is spent, now. " (link("profile?seconds=5&format=svg", "Flame graph of the next 5 s")) "." }
        (command(&base.pprof("", "/debug/pprof/profile?seconds=10")))
        p { "Of one span only, and the spans by their share:" }
        (command(&base.pprof("-top -tagfocus=span_name=cpu_loop ", "/debug/pprof/profile?seconds=10")))
        (command(&base.pprof("-tags ", "/debug/pprof/profile?seconds=10")))
        p { "The same in a terminal, without Go:" }
        (command(&base.phaselab("--seconds 10")))
        h2 id="recorder" { "profile of the past" }
        @match &recorder {
            Some(recorder) => {
                p {
                    "The recorder takes " (recorder.hz) " samples per second of CPU time and keeps them for "
                    (duration::format(recorder.window)) ", so that a trace has its profile after the fact: "
                    code { "/debug/traces/<trace_id>" } ". " a href="/debug/spans" { "Which span is hot" } "; "
                    (link(&format!("{recorded}&format=svg"), "flame graph of all of it")) "."
                }
                (command(&base.pprof("", &format!("/debug/pprof/{recorded}"))))
            }
            None => p { "The recorder is off: set " code { "PHASELAB_PROFILER_HZ" } ", for example to 99." }
        }
        h2 id="heap" { "heap" }
        p { "What is in use, by who allocated it. " (link("heap?format=svg", "Flame graph")) "; " (link("heap?debug=1", "text")) ". A leak is what two of them differ by:" }
        (command(&base.pprof("", "/debug/pprof/heap")))
        (command(&base.curl("before.pb.gz", "/debug/pprof/heap")))
        (command(&base.pprof("-top -diff_base=before.pb.gz ", "/debug/pprof/heap")))
        h2 id="allocs" { "allocs" }
        p { "What was ever allocated, or with " code { "seconds" } " what is allocated now. " (link("allocs?seconds=5&format=svg", "Flame graph of the next 5 s")) "." }
        (command(&base.pprof("", "/debug/pprof/allocs?seconds=10")))
        h2 id="goroutine" { "goroutine" }
        p { "What each task does, since when and in which span: " (link("goroutine?debug=2", "one by one")) ", " (link("goroutine?debug=1", "by place")) "." }
        (command(&base.pprof("", "/debug/pprof/goroutine")))
        h2 id="trace" { "trace" }
        p { "Polls, wakes and spans on a time line, for " a href="https://ui.perfetto.dev" rel="noreferrer" { "ui.perfetto.dev" } ": open the file there." }
        (command(&base.curl("trace.pftrace", "/debug/pprof/trace?seconds=5")))
        h2 id="cmdline" { "cmdline" }
        p { "The " (link("cmdline", "arguments")) " of this process, separated by NUL." }
        h2 id="missing" { "What Go has and this has not" }
        dl { @for (name, reason, instead) in UNSUPPORTED {
            dt id=(name) { code { (name) } }
            dd { (reason) ". Instead: " (instead) "." }
        } }
        h2 id="parameters" { "Parameters" }
        dl {
            @for (name, about) in PARAMETERS { dt { code { (name) } } dd { (about) } }
        }
    };
    page(app, "/debug/pprof/", &body)
}

const PARAMETERS: [(&str, &str); 9] = [
    (
        "seconds",
        "how long to look, up to 60, fractions allowed: 30 for profile and 1 for trace unless given; the others \
                 then give what changed meanwhile",
    ),
    ("hz", "samples per second of CPU time, 1 to 999, 99 unless given (profile)"),
    ("span", "only samples in spans of this name, and in spans of traces that such a span is the first of here"),
    ("trace_id, span_id", "only samples of this trace or span; without seconds they come from the recorder (profile)"),
    ("since", "what was recorded in the last 10m, 30s, … (profile)"),
    ("format", "pprof, svg (a flame graph), json (top functions by span) or folded"),
    ("debug", "1 for text, 2 for one task after the other (goroutine)"),
    ("gc", "taken for the sake of Go's commands: here, what is not used is free already (heap, allocs)"),
    ("token", "never: addresses end up in histories. Send Authorization: Bearer, or http://:TOKEN@host/"),
];

fn link(target: &str, text: &str) -> Markup {
    html! { a href=(format!("/debug/pprof/{target}")) { (text) } }
}

/// `/debug/spans`.
pub(super) fn spans(app: &App, headers: &HeaderMap, spans: &Spans) -> Markup {
    let base = Base::of(app, headers);
    let recorded = format!("profile?since={}", spans.since);
    let body = html! {
        p {
            "CPU time by span over the last " (time(spans.seconds)) ": " (spans.samples) " samples, "
            (time(spans.cpu_seconds)) " of CPU time, " (format!("{:.2}", per(spans.cpu_seconds, spans.seconds)))
            " cores on average. The recorder takes " (spans.hz) " samples per second and holds " (mebibytes(spans.bytes))
            " of at most " (mebibytes(spans.bytes_limit)) "."
        }
        (span_table(spans))
        p { "All of it: " (link(&format!("{recorded}&format=svg"), "flame graph")) ", "
            a href="/debug/spans?format=json" { "JSON" } ", or with Go's tools:" }
        (command(&base.pprof("-tags ", &format!("/debug/pprof/{recorded}"))))
    };
    page(app, "Spans by CPU time", &body)
}

fn span_table(spans: &Spans) -> Markup {
    if spans.spans.is_empty() {
        return html! { p { "No sample yet: nothing has used the CPU since the service started." } };
    }
    let rows = html! {
        thead { tr { th scope="col" { "Span" } th.n scope="col" { "Share" } th.n scope="col" { "CPU" } th.n.extra scope="col" { "Samples" } th scope="col" { "Profile" } } }
        tbody { @for row in &spans.spans {
            tr {
                td { @if row.name.is_empty() { em { "outside of any span" } } @else { code { (row.name) } } }
                td.n { meter min="0" max="1" value=(format!("{:.4}", row.share)) {} " " (share(row.share)) }
                td.n { (time(row.cpu_seconds)) }
                td.n.extra { (row.samples) }
                td { @if row.name.is_empty() {
                    // Nothing selects what is in no span.
                    (link(&format!("profile?since={}&format=svg", spans.since), "everything"))
                } @else {
                    a href=(of_span(&spans.since, &row.name, "svg")) { "flame graph" } " "
                    a href=(of_span(&spans.since, &row.name, "json")) { "top" }
                } }
            }
        } }
    };
    table("Spans, those with most CPU time first", &rows)
}

/// The recorder's profile of a span name, in a format.
fn of_span(since: &str, name: &str, format: &str) -> String {
    format!("/debug/pprof/profile?since={since}&span={}&format={format}", percent::encode(name))
}

/// Seconds for people.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 120.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds >= 10.0 => format!("{seconds:.0} s"),
        _ if seconds >= 1.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} ms", seconds * 1_000.0),
    }
}

/// A share; spaces as wide as digits keep what stands before it in one line.
fn share(share: f64) -> String {
    format!("{:>5.1}\u{a0}%", 100.0 * share).replace(' ', "\u{2007}")
}

fn per(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::spans::SpanRow;

    #[test]
    fn every_row_leads_to_a_profile() {
        let row = |name: &str| SpanRow { name: name.to_owned(), samples: 1, cpu_seconds: 0.01, share: 0.5 };
        let table = span_table(&Spans {
            hz: 99,
            seconds: 60.0,
            samples: 2,
            cpu_seconds: 0.02,
            bytes: 0,
            bytes_limit: 0,
            spans: vec![row("a b"), row("")],
            since: "1m30s".to_owned(),
        })
        .into_string();
        for link in ["profile?since=1m30s&amp;span=a%20b&amp;format=svg", "profile?since=1m30s&amp;format=svg"] {
            assert!(table.contains(&format!("href=\"/debug/pprof/{link}\"")), "{table}");
        }
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [(0.0, "0 ms"), (0.25, "250 ms"), (1.5, "1.5 s"), (59.6, "60 s"), (600.0, "10 min")] {
            assert_eq!(time(seconds), text);
        }
    }
}
