//! `up` and `down`: the whole stack the best way this machine allows, and back to nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::build::service;
use crate::config::{Settings, TraceStore, Way};
use crate::programs::{Places, Programs};
use crate::progress::{Progress, human};
use crate::stack::{Name, Stack, StackConfig, addresses, died};
use crate::state::{self, State};
use crate::{compose, stack_root};

mod choice;

use choice::{Choice, choose};

/// Starts the stack; harmless when it is already up.
///
/// # Errors
/// If the way that was chosen does not work out, with the reason and what to do about it.
pub fn up(settings: &Settings, repo: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    let root = stack_root(repo);
    let _lock = state::lock(&root)?;
    let before = State::read(&root)?;
    if let Some(state) = &before
        && already_up(state, progress)?
    {
        return Ok(());
    }
    let places = Places::new(settings, &repo.join("stack"))?;
    let docker = || compose::available(repo, settings);
    let native = || Programs::find(&places, settings.trace_store);
    let Choice { way, why, missing, programs } = choose(settings.way, docker, native, &places.describe())?;
    progress.say(why);
    for line in missing {
        progress.say(line);
    }
    // What is started now would be remembered in place of the containers.
    if way != Way::Docker && before.is_some_and(|state| state.way == Way::Docker) && compose::is_up(repo)? {
        bail!("containers of the stack are up: `make down` first");
    }
    let start = Instant::now();
    let mut stack = StackConfig {
        root,
        repo: repo.to_path_buf(),
        ports: settings.ports.clone(),
        programs,
        service: None,
        protocol: settings.protocol,
        watch: way == Way::Native,
        workers: way == Way::Native,
        overlays: settings.overlays.clone(),
        env: BTreeMap::new(),
        env_remove: settings.otel_variables.clone(),
        alertmanager_config: settings.alertmanager_config.clone(),
        prometheus_config: None,
        prometheus_flags: Vec::new(),
        metrics_retention_h: settings.metrics_retention_h,
        traces_retention_h: settings.traces_retention_h,
    };
    if way == Way::Docker {
        // Remembered first: `down` has to know even if the rest fails half-way.
        let state = State { way, stack };
        state.write()?;
        compose::up(repo, &settings.ports, settings.protocol, progress)?;
        say_up(&state, Some(start), progress);
        return Ok(());
    }
    // Asked before the build too, which may take minutes; then with the program that comes out of it.
    stack.service = Some("phaselab".into());
    stack.check_ports()?;
    stack.service = Some(service::build(repo, settings, progress)?);
    let start = Instant::now();
    let state = State { way, stack: stack.clone() };
    state.write()?;
    match Stack::start(stack, progress) {
        Ok(stack) => stack.leave(),
        Err(error) => {
            State::forget(&state.stack.root)?;
            return Err(error);
        }
    }
    say_up(&state, Some(start), progress);
    Ok(())
}

/// Whether the stack runs as it was started. What has died meanwhile is reported and started again.
fn already_up(state: &State, progress: &mut Progress) -> anyhow::Result<bool> {
    if state.way == Way::Docker {
        // Compose compares by itself and starts what is missing.
        return Ok(false);
    }
    let attached = Stack::attach(state.stack.clone());
    let alive: Vec<Name> = attached.running().map(|(name, _)| name).collect();
    if alive.is_empty() {
        attached.leave();
        return Ok(false);
    }
    let dead: Vec<Name> =
        state.stack.parts().into_iter().map(|(name, _)| name).filter(|name| !alive.contains(name)).collect();
    attached.leave();
    if dead.is_empty() {
        progress.say("already up, with the settings of its start (`make down` first to change them)");
    } else {
        for name in &dead {
            progress.say(died(*name, "gone", &state.stack.log(*name)));
        }
        progress.say("starting what is missing");
        // On failure, what ran before this call goes on running: only a new start may take it down.
        let mut stack = Stack::attach(state.stack.clone());
        let outcome = dead.iter().try_for_each(|name| stack.start_one(*name, progress));
        stack.leave();
        outcome?;
    }
    say_up(state, None, progress);
    Ok(true)
}

/// Stops what `up` started and nothing else; with `keep_data`, leaves data and logs for the next one.
///
/// # Errors
/// If something does not end or cannot be removed.
pub fn down(repo: &Path, keep_data: bool, progress: &mut Progress) -> anyhow::Result<()> {
    let root = stack_root(repo);
    let _lock = state::lock(&root)?;
    let Some(state) = State::read(&root)? else {
        if root.exists() && !keep_data {
            remove(&root)?;
        }
        progress.say("nothing to stop: `up` has not started anything");
        return Ok(());
    };
    let start = Instant::now();
    if state.way == Way::Docker {
        compose::down(repo, !keep_data)?;
    } else {
        let stack = Stack::attach(state.stack.clone());
        let killed = stack.stop(progress)?;
        if !killed.is_empty() {
            progress.say(format!("  {} did not end in time when asked and was killed", killed.join(" and ")));
        }
    }
    // Volumes outlive their containers: as long as they are remembered, a later `down` can remove them.
    if state.way != Way::Docker || !keep_data {
        State::forget(&root)?;
    }
    if keep_data {
        let what = match state.way {
            Way::Docker => "data stays in the volumes, logs went with the containers".to_owned(),
            Way::Native | Way::Single => format!("data and logs stay in {}", root.display()),
        };
        progress.say(format!("down in {}; {what}", human(start.elapsed())));
    } else {
        remove(&root)?;
        progress.say(format!("down in {}; nothing is left", human(start.elapsed())));
    }
    Ok(())
}

/// The variables that lead a `phaselab` command to the running stack; none when nothing was started.
///
/// # Errors
/// If the state cannot be understood.
pub fn client_env(repo: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    Ok(State::read(&stack_root(repo))?
        .map(|State { way, stack }| match way {
            Way::Docker => addresses(&stack, Some(TraceStore::Tempo)),
            Way::Native | Way::Single => addresses(&stack, stack.store()),
        })
        .unwrap_or_default())
}

fn remove(root: &Path) -> anyhow::Result<()> {
    // The name is checked because everything below it goes: a root that was set wrongly must not.
    if !root.ends_with("target/stack") {
        bail!("{} is not a stack's directory and is left alone", root.display());
    }
    fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))
}

fn say_up(state: &State, started: Option<Instant>, progress: &mut Progress) {
    if let Some(start) = started {
        progress.say(format!("up ({}) after {}", way_name(state.way), human(start.elapsed())));
    }
    for (what, url) in urls(state) {
        progress.say(format!("  {what:<12} {url}"));
    }
    progress.say(
        "  try          curl 'http://127.0.0.1:PORT/api/work?db_ms=20'"
            .replace("PORT", &state.stack.ports.http.to_string()),
    );
    progress.say("  stop         make down        (logs: make logs, load: make load, check: make verify)");
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Docker => "containers",
        Way::Native => "native programs",
        Way::Single => "the service alone",
    }
}

fn urls(state: &State) -> Vec<(&'static str, String)> {
    let ports = &state.stack.ports;
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    let mut urls = vec![("phaselab", url(ports.http, "/")), ("profiles", url(ports.diagnostics, "/debug/pprof/"))];
    if state.way == Way::Single {
        return urls;
    }
    urls.push(("worker, bad", url(ports.worker_bad_diagnostics, "/debug/pprof/")));
    urls.push(("  optimized", url(ports.worker_optimized_diagnostics, "/debug/pprof/")));
    urls.push(("Prometheus", url(ports.prometheus, "/api/v1/query_exemplars")));
    urls.push(("Alertmanager", url(ports.alertmanager, "/#/alerts")));
    match state.stack.store() {
        Some(TraceStore::Jaeger) => urls.push(("Jaeger", url(ports.jaeger, "/api/v3/traces/<id>"))),
        _ => urls.push(("Tempo", url(ports.tempo, "/api/traces/<id>"))),
    }
    urls.push(("collector", url(ports.collector_metrics, "/metrics")));
    urls
}
