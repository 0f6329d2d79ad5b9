//! Go's paths: `/debug/pprof/…`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use super::App;
use super::answer::{self, Form};
use super::ask::{self, Ask};
use super::pages;
use super::slots::What;
use super::sources::{self, DEFAULT_HZ, Profile};
use crate::config::duration;
use crate::http::problem::{Kind, Problem};

/// Go's default for a CPU profile.
const CPU_SECONDS: Duration = Duration::from_secs(30);

/// Go's default for an execution trace.
const EXECUTION_SECONDS: Duration = Duration::from_secs(1);

/// The kind of a CPU profile that was taken when it was asked for.
const CPU: &str = "cpu";

/// The kind of a CPU profile out of the recorder.
pub(super) const RECORDED: &str = "recorded";

/// All kinds that are counted; those besides CPU are called as in addresses.
pub(super) const KINDS: [&str; 6] =
    [CPU, RECORDED, What::Heap.name(), What::Allocs.name(), What::Tasks.name(), What::Execution.name()];

type Answer = Result<Response, Problem>;

/// `/debug/pprof/`: what there is, with a command for each.
pub(super) async fn index(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    Ask::read(query.as_deref(), ask::NONE)?;
    Ok(Form::Html.with(pages::index(&app, &headers).into_string()))
}

/// `/debug/pprof/profile`: CPU, now or from the recorder.
pub(super) async fn cpu(State(app): State<Arc<App>>, method: Method, RawQuery(query): RawQuery) -> Answer {
    let ask = Ask::read(query.as_deref(), ask::CPU)?;
    let form = Form::of(&ask, What::Cpu.name(), false);
    if method == Method::HEAD {
        return Ok(form.head());
    }
    if ask.is_recorded() {
        return recorded(&app, &ask, form).await;
    }
    let seconds = ask.seconds.unwrap_or(CPU_SECONDS);
    let hz = ask.hz.unwrap_or(DEFAULT_HZ);
    let _taken = app.slots.take(What::Cpu, seconds)?;
    // Dropped with this future when the client goes away, which stops it.
    let capture = app.sources.capture(hz)?;
    pause(&app, seconds).await;
    let filter = ask.filter.clone();
    let profile = answer::render(&app, move || {
        let mut profile = capture.finish();
        profile.retain(&filter);
        profile
    })
    .await?;
    app.counts.profile(CPU);
    let title = title(&app, "CPU", &format!("{} at {hz} Hz", short(seconds)), &ask);
    answer::profile(&app, profile, &ask, form, title).await
}

/// What the recorder has of a trace, a span, or all of the last minutes.
async fn recorded(app: &Arc<App>, ask: &Ask, form: Form) -> Answer {
    let recorder = app.sources.recorder()?;
    let (sources, filter) = (app.sources.clone(), ask.filter.clone());
    let profile = answer::render(app, move || sources.recorded(&filter)).await??;
    let ids = ask.filter.trace_id.is_some() || ask.filter.span_id.is_some();
    if ids && profile.samples.is_empty() {
        let detail = format!(
            "the recorder has no sample of this: it takes {} per second of CPU time and keeps them for {}; \
             /debug/traces/<trace_id> says more",
            recorder.hz,
            duration::format(recorder.window)
        );
        return Err(Problem::new(Kind::NoSamples, detail));
    }
    app.counts.profile(RECORDED);
    let window = ask.filter.since.unwrap_or(recorder.window);
    let title = title(app, "CPU", &format!("last {} at {} Hz", duration::format(window), recorder.hz), ask);
    answer::profile(app, profile, ask, form, title).await
}

/// `/debug/pprof/heap`: what is in use.
pub(super) async fn heap(State(app): State<Arc<App>>, method: Method, RawQuery(query): RawQuery) -> Answer {
    memory(&app, What::Heap, &method, query.as_deref()).await
}

/// `/debug/pprof/allocs`: what was ever allocated.
pub(super) async fn allocs(State(app): State<Arc<App>>, method: Method, RawQuery(query): RawQuery) -> Answer {
    memory(&app, What::Allocs, &method, query.as_deref()).await
}

/// Both come from one dump and differ in the value that is shown first.
async fn memory(app: &Arc<App>, what: What, method: &Method, query: Option<&str>) -> Answer {
    let ask = Ask::read(query, ask::HEAP)?;
    let form = Form::of(&ask, what.name(), ask.seconds.is_some());
    if *method == Method::HEAD {
        return Ok(form.head());
    }
    let _taken = app.slots.take(what, ask.seconds.unwrap_or_default())?;
    let mut profile = dump(app).await?;
    if let Some(seconds) = ask.seconds {
        pause(app, seconds).await;
        profile = dump(app).await?.minus(&profile);
    }
    profile.retain(&ask.filter);
    let shown = if what == What::Heap { "inuse_space" } else { "alloc_space" };
    if let Some(index) = profile.value_types.iter().position(|value| value.kind == shown) {
        profile.default_value = index;
    }
    app.counts.profile(what.name());
    let title = title(app, if what == What::Heap { "heap in use" } else { "allocations" }, "", &ask);
    answer::profile(app, profile, &ask, form, title).await
}

async fn dump(app: &Arc<App>) -> Result<Profile, Problem> {
    let sources = app.sources.clone();
    answer::render(app, move || sources.heap()).await?
}

/// `/debug/pprof/goroutine`: what each task does, under the name that Go's tools know.
pub(super) async fn tasks(State(app): State<Arc<App>>, method: Method, RawQuery(query): RawQuery) -> Answer {
    let ask = Ask::read(query.as_deref(), ask::TASKS)?;
    let form = Form::of(&ask, What::Tasks.name(), ask.seconds.is_some());
    if method == Method::HEAD {
        return Ok(form.head());
    }
    let _taken = app.slots.take(What::Tasks, ask.seconds.unwrap_or_default())?;
    let dump = app.sources.tasks().await;
    if ask.debug > 0 {
        let span = ask.filter.span_name.clone();
        let one_by_one = ask.debug == 2;
        let text = answer::render(&app, move || sources::tasks_text(dump, span.as_deref(), one_by_one)).await?;
        app.counts.profile(What::Tasks.name());
        return Ok(form.with(text));
    }
    let mut profile = dump.profile();
    if let Some(seconds) = ask.seconds {
        pause(&app, seconds).await;
        profile = app.sources.tasks().await.profile().minus(&profile);
    }
    profile.retain(&ask.filter);
    app.counts.profile(What::Tasks.name());
    let title = title(&app, "tasks", "", &ask);
    answer::profile(&app, profile, &ask, form, title).await
}

/// `/debug/pprof/trace`: polls, wakes and spans, for ui.perfetto.dev.
pub(super) async fn execution(State(app): State<Arc<App>>, method: Method, RawQuery(query): RawQuery) -> Answer {
    let ask = Ask::read(query.as_deref(), ask::EXECUTION)?;
    let form = Form::of(&ask, What::Execution.name(), false);
    if method == Method::HEAD {
        return Ok(form.head());
    }
    let seconds = ask.seconds.unwrap_or(EXECUTION_SECONDS);
    let _taken = app.slots.take(What::Execution, seconds)?;
    let recording = app.sources.execution()?;
    pause(&app, seconds).await;
    let bytes = answer::render(&app, move || recording.finish().to_perfetto()).await?;
    app.counts.profile(What::Execution.name());
    Ok(form.with(bytes))
}

/// `/debug/pprof/cmdline`: the arguments of this process, separated by NUL.
pub(super) async fn cmdline(RawQuery(query): RawQuery) -> Answer {
    Ask::read(query.as_deref(), ask::NONE)?;
    let arguments: Vec<_> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    Ok(Form::Text.with(arguments.join("\0")))
}

/// What Go has and this program has not: why, and what to ask instead.
pub(super) async fn unsupported(request: Request) -> Problem {
    let path = request.uri().path();
    let found = UNSUPPORTED.iter().find(|(name, ..)| path.ends_with(name));
    let (name, reason, instead) = found.copied().unwrap_or(("this", "it is not known here", "see /debug/pprof/"));
    Problem::new(Kind::NotSupported, format!("{name} is not available: {reason}. Instead: {instead}"))
}

/// Name, reason, alternative.
pub(super) const UNSUPPORTED: [(&str, &str, &str); 4] = [
    (
        "block",
        "a task that waits blocks no thread, so there is nothing to sample",
        "/debug/pprof/goroutine?debug=2 shows what waits and since when, /debug/pprof/trace when it was woken",
    ),
    (
        "mutex",
        "the locks of Rust and Tokio tell nobody that they are waited for",
        "/debug/pprof/trace shows long polls, /debug/pprof/goroutine?debug=2 what stands still",
    ),
    (
        "threadcreate",
        "nobody records who starts a thread",
        "the metric process.thread.count counts them, /debug/pprof/goroutine shows the tasks",
    ),
    (
        "symbol",
        "profiles from here carry their names, so there is no address to look up",
        "ask for the profile itself, for example /debug/pprof/profile?seconds=5",
    ),
];

/// Waits for the time of a profile, or until the server stops: a short profile is better than none.
async fn pause(app: &App, seconds: Duration) {
    let mut stopping = app.stopping.clone();
    tokio::select! {
        () = tokio::time::sleep(seconds) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

fn title(app: &App, what: &str, how: &str, ask: &Ask) -> String {
    let mut parts = vec![format!("{} {what}", app.service)];
    if !how.is_empty() {
        parts.push(how.to_owned());
    }
    if let Some(name) = &ask.filter.span_name {
        parts.push(format!("span {name}"));
    }
    if let Some(id) = ask.filter.trace_id {
        parts.push(format!("trace {id:032x}"));
    }
    if let Some(id) = ask.filter.span_id {
        parts.push(format!("span {id:016x}"));
    }
    parts.join(", ")
}

/// A duration that a client asked for as it would write it.
fn short(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
