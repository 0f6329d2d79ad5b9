//! The only reader of the environment in this crate; faults are collected and reported all at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ports::{Ports, VARIABLES};

/// Where variables come from: the process, or a map in tests.
pub trait Env {
    /// The value of `name`; an empty one counts as unset.
    fn get(&self, name: &str) -> Option<String>;
    /// The names of all variables.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).filter(|value| !value.is_empty()).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// How the stack is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Containers, through Docker Compose.
    Docker,
    /// Native programs in the background.
    Native,
    /// The service alone.
    Single,
}

/// The program that stores traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceStore {
    /// Grafana Tempo 3.
    Tempo,
    /// Jaeger 1 all-in-one with its store on disk.
    Jaeger,
}

impl TraceStore {
    /// Its name in variables, files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tempo => "tempo",
            Self::Jaeger => "jaeger",
        }
    }
}

/// How the service talks to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf bodies.
    Http,
}

impl Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    #[must_use]
    pub const fn otel_name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// Everything that variables decide about the stack.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `PHASELAB_UP`: forces a way.
    pub way: Option<Way>,
    /// `PHASELAB_TRACE_STORE`: forces a trace store.
    pub trace_store: Option<TraceStore>,
    /// `PHASELAB_PROFILE`: whether the service is built with optimization (`release`, the default).
    pub release: bool,
    /// `PHASELAB_BIN`: a service that is already built.
    pub service: Option<PathBuf>,
    /// `PHASELAB_*_PORT`.
    pub ports: Ports,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`: gRPC unless it says `http/protobuf`.
    pub protocol: Protocol,
    /// `PHASELAB_COLLECTOR_OVERLAYS`: configuration files laid over the collector's own, by commas.
    pub overlays: Vec<PathBuf>,
    /// `STACK_BIN`: the first place to look for programs.
    pub stack_bin: Option<PathBuf>,
    /// `PATH`.
    pub path: Vec<PathBuf>,
    /// `PHASELAB_STACK_CACHE`: where `stack` keeps what it built.
    pub cache: PathBuf,
    /// `XDG_CACHE_HOME`: where everything else that outlives a clone is kept.
    pub user_cache: PathBuf,
    /// `PHASELAB_ALERTMANAGER_CONFIG`: a file of `alertmanager/`, or any other by its whole path.
    pub alertmanager_config: PathBuf,
    /// `PHASELAB_METRICS_RETENTION`, in hours.
    pub metrics_retention_h: u32,
    /// `PHASELAB_TRACES_RETENTION`, in hours; never less than that of the metrics.
    pub traces_retention_h: u32,
    /// `CI`: a missing program is a failure, not a skip.
    pub ci: bool,
    /// Names of the `OTEL_*` variables that are set. They are meant for the service; backends would
    /// trace themselves into the collector that is being measured.
    pub otel_variables: Vec<String>,
}

impl Settings {
    /// Reads and checks every variable.
    ///
    /// # Errors
    /// All faults found, one sentence each.
    pub fn from_env(env: &dyn Env) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let way = choice(
            env,
            &mut faults,
            "PHASELAB_UP",
            &[("docker", Way::Docker), ("native", Way::Native), ("single", Way::Single)],
        );
        let trace_store = choice(
            env,
            &mut faults,
            "PHASELAB_TRACE_STORE",
            &[("auto", None), ("tempo", Some(TraceStore::Tempo)), ("jaeger", Some(TraceStore::Jaeger))],
        )
        .flatten();
        let release =
            choice(env, &mut faults, "PHASELAB_PROFILE", &[("release", true), ("debug", false)]).unwrap_or(true);
        let protocol = choice(
            env,
            &mut faults,
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)],
        )
        .unwrap_or(Protocol::Grpc);
        let mut ports = Ports::default();
        for variable in VARIABLES {
            if let Some(text) = env.get(variable.name) {
                match text.trim().parse::<u16>() {
                    Ok(number) if number > 0 => *(variable.slot)(&mut ports) = number,
                    _ => faults.push(format!("{}={text} is not a port: give a number from 1 to 65535", variable.name)),
                }
            }
        }
        let metrics_retention_h = hours(env, &mut faults, "PHASELAB_METRICS_RETENTION", 360);
        let traces_retention_h = hours(env, &mut faults, "PHASELAB_TRACES_RETENTION", 720);
        if traces_retention_h < metrics_retention_h {
            faults.push(format!(
                "PHASELAB_TRACES_RETENTION={traces_retention_h}h is shorter than PHASELAB_METRICS_RETENTION={metrics_retention_h}h: \
                 exemplars would outlive their traces; raise the first or lower the second"
            ));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            way,
            trace_store,
            release,
            service: env.get("PHASELAB_BIN").map(PathBuf::from),
            ports,
            protocol,
            overlays: list(env, "PHASELAB_COLLECTOR_OVERLAYS", ','),
            stack_bin: env.get("STACK_BIN").map(PathBuf::from),
            path: list(env, "PATH", ':'),
            cache: env.get("PHASELAB_STACK_CACHE").map_or_else(|| user_cache(env).join("stack"), PathBuf::from),
            user_cache: user_cache(env),
            alertmanager_config: env
                .get("PHASELAB_ALERTMANAGER_CONFIG")
                .map_or_else(|| "alertmanager.yml".into(), PathBuf::from),
            metrics_retention_h,
            traces_retention_h,
            ci: env.get("CI").is_some_and(|value| value != "false" && value != "0"),
            otel_variables: env.names().into_iter().filter(|name| name.starts_with("OTEL_")).collect(),
        })
    }
}

fn choice<T: Copy>(env: &dyn Env, faults: &mut Vec<String>, name: &str, choices: &[(&str, T)]) -> Option<T> {
    let text = env.get(name)?;
    let found = choices.iter().find(|(label, _)| *label == text).map(|(_, value)| *value);
    if found.is_none() {
        let labels: Vec<_> = choices.iter().map(|(label, _)| *label).collect();
        faults.push(format!("{name}={text} is unknown: use {}", labels.join(" or ")));
    }
    found
}

/// Retentions are whole hours: the three programs that read them agree on no larger unit.
fn hours(env: &dyn Env, faults: &mut Vec<String>, name: &str, default: u32) -> u32 {
    let Some(text) = env.get(name) else { return default };
    match text.strip_suffix('h').and_then(|number| number.parse().ok()) {
        Some(number) if number > 0 => number,
        _ => {
            faults.push(format!("{name}={text} is not a number of hours: write it like {default}h"));
            default
        }
    }
}

fn list(env: &dyn Env, name: &str, separator: char) -> Vec<PathBuf> {
    let text = env.get(name).unwrap_or_default();
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(PathBuf::from).collect()
}

fn user_cache(env: &dyn Env) -> PathBuf {
    let base = env
        .get("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env.get("HOME").map(|home| PathBuf::from(home).join(".cache")))
        // Without a home there is no user cache; a system-wide temporary one still saves rebuilds.
        .unwrap_or_else(std::env::temp_dir);
    base.join("phaselab")
}

#[cfg(test)]
mod tests;
