//! `/debug/traces/{trace_id}`: the CPU profile of one request that is long over.

mod why;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{self, Form};
use super::ask::{self, Ask, Format};
use super::pages;
use super::peers::{self, Answers, Asked};
use super::profiles::RECORDED;
use super::slots::What;
use super::sources::{Filter, Profile};
use super::spans::json;
use super::top::{self, FunctionTop};
use crate::http::problem::{Kind, Problem};

pub(super) use why::Why;

/// What is known of a trace; also what peers tell each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) trace_id: String,
    /// Samples that were taken in it.
    pub(super) samples: u64,
    /// The CPU time that they stand for.
    pub(super) cpu_seconds: f64,
    /// Its spans, those with most CPU first.
    pub(super) spans: Vec<SpanView>,
    /// The functions of all its spans, by their own CPU time in nanoseconds.
    pub(super) functions: Vec<FunctionTop>,
    /// The process that has the samples or knows the trace, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<String>,
    /// Why there are no samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<Why>,
    /// Samples of other traces whose first span here has the same name.
    #[serde(default)]
    pub(super) samples_of_name: u64,
    /// Other processes that were asked and have no samples, and what they said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) asked: Vec<Asked>,
    /// Pixels of the flame graph that goes with this.
    #[serde(default)]
    pub(super) graph_height: u32,
}

/// One span of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SpanView {
    pub(super) span_id: String,
    pub(super) name: String,
    pub(super) samples: u64,
    pub(super) cpu_seconds: f64,
}

/// The page of a trace, or its profile in another form.
pub(super) async fn trace(
    State(app): State<Arc<App>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref(), ask::PAGE)?;
    // As it was sent: what is encoded is no trace id, and may be no text.
    let trace_id = ask::trace_id_of_path(uri.path().rsplit('/').next().unwrap_or_default())?;
    let form = Form::of(&ask, What::Cpu.name(), false);
    if method == Method::HEAD {
        return Ok(form.head());
    }
    let may_ask = !peers::is_hop(&headers);
    match ask.format {
        Format::Html | Format::Json => {
            let view = view(&app, trace_id, may_ask).await?;
            match ask.format {
                Format::Json => json(&view),
                _ => Ok(form.with(pages::trace(&app, &headers, &view).into_string())),
            }
        }
        _ => file(&app, trace_id, &ask, form, may_ask).await,
    }
}

async fn view(app: &Arc<App>, trace_id: u128, may_ask: bool) -> Result<View, Problem> {
    if let Some(profile) = recorded(app, trace_id).await? {
        return here(app, trace_id, profile).await;
    }
    let mut view = elsewhere(app, trace_id, may_ask).await;
    // Who knows the trace has its page.
    if view.peer.is_none()
        && let Some(name) = view.why.as_ref().and_then(Why::name)
    {
        (view.samples_of_name, view.graph_height) = samples_of(app, name.to_owned()).await?;
    }
    Ok(view)
}

/// What the peers have of a trace, or why nobody has samples of it.
async fn elsewhere(app: &App, trace_id: u128, may_ask: bool) -> View {
    let id = format!("{trace_id:032x}");
    let mut answers = Answers { given: Vec::new(), failed: Vec::new() };
    if may_ask {
        answers =
            app.peers.ask(&format!("/debug/traces/{id}?format=json"), View::of_peer, |view| view.samples > 0).await;
    }
    let Answers { given, failed: mut asked } = answers;
    let silent = given.iter().filter(|(_, view)| view.samples == 0);
    asked.extend(silent.map(|(peer, _)| Asked { peer: peer.clone(), outcome: "it has no sample".to_owned() }));
    asked.sort();
    let best = given.into_iter().max_by_key(|(_, view)| (view.samples > 0, view.why.as_ref().map(Why::rank)));
    let why = Why::of(app, trace_id);
    match best {
        // The id and the address are ours, whatever the peer says.
        Some((peer, view)) if view.samples > 0 => {
            View { trace_id: id, peer: Some(peer), why: None, asked: Vec::new(), ..view }
        }
        Some((peer, View { why: Some(known), .. })) if known.name().is_some() && why.name().is_none() => {
            View { trace_id: id, peer: Some(peer), why: Some(known), asked, ..View::default() }
        }
        _ => View { trace_id: id, why: Some(why), asked, ..View::default() },
    }
}

impl View {
    /// What a peer says, unless it makes no sense.
    fn of_peer(body: &[u8]) -> Option<Self> {
        let view: Self = serde_json::from_slice(body).ok()?;
        let times = view.spans.iter().map(|span| span.cpu_seconds).chain([view.cpu_seconds]);
        // JSON has no number that is not finite.
        let good = times.into_iter().all(|seconds| seconds >= 0.0)
            && view.functions.iter().all(|function| function.flat >= 0 && function.cum >= 0)
            && (view.samples > 0 || view.why.is_some());
        good.then_some(view)
    }

    /// The address of its page in the process that knows it, where that is another one.
    pub(super) fn page(&self) -> Option<String> {
        self.peer.as_ref().map(|peer| format!("{peer}/debug/traces/{}", self.trace_id))
    }
}

async fn here(app: &Arc<App>, trace_id: u128, profile: Profile) -> Result<View, Problem> {
    let spans = app.sources.spans_of(trace_id);
    let (functions, graph_height) = answer::render(app, move || {
        let value = profile.default_value;
        let symbolized = profile.symbolize();
        (top::functions(&symbolized, value), height(&symbolized.flamegraph("", value)))
    })
    .await?;
    let cpu: Duration = spans.iter().map(|span| span.cpu).sum();
    Ok(View {
        trace_id: format!("{trace_id:032x}"),
        samples: spans.iter().map(|span| span.samples).sum(),
        cpu_seconds: cpu.as_secs_f64(),
        spans: spans
            .into_iter()
            .map(|span| SpanView {
                span_id: format!("{:016x}", span.span_id),
                name: span.name.to_string(),
                samples: span.samples,
                cpu_seconds: span.cpu.as_secs_f64(),
            })
            .collect(),
        functions,
        graph_height,
        ..View::default()
    })
}

/// How many samples the recorder has of a span name and of the spans inside such a one, and how high their flame graph
/// is.
async fn samples_of(app: &Arc<App>, name: String) -> Result<(u64, u32), Problem> {
    let sources = app.sources.clone();
    let filter = Filter { span_name: Some(name), ..Filter::default() };
    answer::render(app, move || {
        let profile = sources.recorded(&filter)?;
        let count = profile.samples.iter().filter_map(|sample| u64::try_from(*sample.values.first()?).ok()).sum();
        let value = profile.default_value;
        Ok((count, height(&profile.symbolize().flamegraph("", value))))
    })
    .await?
}

/// The height that an SVG gives itself, in pixels; 0 where it gives none.
fn height(svg: &[u8]) -> u32 {
    let head = String::from_utf8_lossy(&svg[..svg.len().min(4_096)]);
    let element = head.find("<svg").map_or("", |at| &head[at..]);
    let text = element.split_once(" height=\"").map_or("", |(_, rest)| rest);
    text.split(|char: char| !char.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The trace's profile as a file, a flame graph or folded stacks, from here or from a peer.
async fn file(app: &Arc<App>, trace_id: u128, ask: &Ask, form: Form, may_ask: bool) -> Result<Response, Problem> {
    if let Some(profile) = recorded(app, trace_id).await? {
        app.counts.profile(RECORDED);
        let title = format!("{} CPU, trace {trace_id:032x}", app.service);
        return answer::profile(app, profile, ask, form, title).await;
    }
    let view = elsewhere(app, trace_id, may_ask).await;
    let detail = match (&view.peer, &view.why) {
        (Some(peer), None) => {
            let path = format!("/debug/traces/{trace_id:032x}?format={}", ask.format.name());
            match app.peers.fetch(peer, &path).await {
                // The headers are ours: what a peer sends is shown as what was asked for and as nothing else.
                Ok(body) => return Ok(form.with(body)),
                Err(failed) => format!("{peer} has its samples, but: {failed}"),
            }
        }
        (Some(peer), Some(why)) => format!("{} (says {peer})", why.text()),
        (None, why) => why.as_ref().map(Why::text).unwrap_or_default(),
    };
    Err(Problem::new(Kind::NoSamples, detail))
}

/// The trace's samples in the recorder; `None` where there are none.
async fn recorded(app: &Arc<App>, trace_id: u128) -> Result<Option<Profile>, Problem> {
    if app.sources.recorder().is_err() {
        return Ok(None);
    }
    let sources = app.sources.clone();
    let filter = Filter { trace_id: Some(trace_id), ..Filter::default() };
    let profile = answer::render(app, move || sources.recorded(&filter)).await??;
    Ok(Some(profile).filter(|profile| !profile.samples.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::height;

    #[test]
    fn a_picture_tells_its_height() {
        assert_eq!(height(b"<?xml height=\"7\"?><svg width=\"1200\" height=\"834\" viewBox=\"0\">"), 834);
        assert_eq!(height(b"<svg height=\"12.5\">"), 12);
        assert_eq!((height(b"<svg>"), height(b"")), (0, 0));
    }
}
