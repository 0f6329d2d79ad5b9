//! The containers' way: Docker Compose does the work, this module asks whether it can and waits.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use serde_json::Value;

use crate::config::{Protocol, Settings, TraceStore};
use crate::http;
use crate::ports::{self, Ports};
use crate::progress::{Progress, human};

/// How long the services may take once Compose says they run.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// How often, while a service is not ready, Compose is asked whether it still runs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whether Compose can be used for the repository and these settings; if not, why not.
///
/// # Errors
/// The first thing that is missing, or that containers cannot do.
pub fn available(repo: &Path, settings: &Settings) -> Result<(), String> {
    if settings.trace_store == Some(TraceStore::Jaeger) {
        return Err("PHASELAB_TRACE_STORE=jaeger is for native programs: the containers have Tempo".to_owned());
    }
    if !settings.overlays.is_empty() {
        return Err("PHASELAB_COLLECTOR_OVERLAYS is for native programs".to_owned());
    }
    if !repo.join("docker-compose.yml").is_file() {
        return Err("there is no docker-compose.yml".to_owned());
    }
    asks(&["version", "--format", "{{.Server.Version}}"])
        .map_err(|answer| format!("no Docker engine answers ({answer})"))?;
    asks(&["compose", "version"]).map_err(|answer| format!("Docker has no compose plugin ({answer})"))
}

fn asks(args: &[&str]) -> Result<(), String> {
    match Command::new("docker").args(args).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no answer").trim().to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("docker is not on PATH".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs `docker compose` with its output on the terminal.
///
/// # Errors
/// If it cannot be executed or fails.
pub fn run(repo: &Path, args: &[&str]) -> anyhow::Result<()> {
    finish(&mut command(repo, args), args)
}

fn finish(command: &mut Command, args: &[&str]) -> anyhow::Result<()> {
    let status = command.status().context("cannot execute docker")?;
    if !status.success() {
        bail!("`docker compose {}` failed ({status})", args.join(" "));
    }
    Ok(())
}

/// Starts the containers and waits until the services in them answer.
///
/// # Errors
/// If a port is taken, Compose fails, or a service ends or is not ready in time, with the end of its log. What runs by
/// then goes on running, to be looked at.
pub fn up(repo: &Path, ports: &Ports, protocol: Protocol, progress: &mut Progress) -> anyhow::Result<()> {
    if !is_up(repo)? {
        let published = published_ports(repo)?;
        ports::check_free(ports, |_, port| published.contains(&port))?;
    }
    let args = ["up", "--detach", "--build", "--wait"];
    let mut compose = command(repo, &args);
    // The collector's address in its own network, where its ports are always the same.
    compose.env("PHASELAB_OTLP_ENDPOINT", format!("http://collector:{}", Ports::default().otlp(protocol)));
    if let Err(error) = finish(&mut compose, &args) {
        let ends: Vec<_> = broken(repo)?.iter().map(|broken| broken.describe(repo)).collect();
        bail!("{error}\n{}\n`make down` removes what was started", ends.join("\n"));
    }
    // Not every image has something that could check its health, so Compose may be content early.
    for (label, url) in ready_urls(ports) {
        wait_ready(repo, label, &url, progress)?;
    }
    Ok(())
}

fn wait_ready(repo: &Path, label: &str, url: &str, progress: &mut Progress) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut looked = start;
    while let Err(answer) = http::is_ready(url) {
        // Asking Compose takes longer than asking the service.
        if looked.elapsed() > LOOK_EVERY {
            looked = Instant::now();
            if let Some(broken) = broken(repo)?.iter().find(|broken| broken.service == label) {
                bail!("{}\n`make down` removes the rest", broken.describe(repo));
            }
        }
        if start.elapsed() > READY_WITHIN {
            let tail = tail(repo, label);
            bail!("{label} is not ready after {}: {url} says {answer}\n    {tail}", human(start.elapsed()));
        }
        progress.update(format!("  waiting {label:<12} {:>6}", human(start.elapsed())));
        std::thread::sleep(Duration::from_millis(250));
    }
    progress.say(format!("  ready   {label:<12} {:>6}  {url}", human(start.elapsed())));
    Ok(())
}

/// A service whose container has failed.
#[derive(Debug, PartialEq, Eq)]
struct Broken {
    service: String,
    how: String,
}

impl Broken {
    fn describe(&self, repo: &Path) -> String {
        format!("{} {}; the end of its log:\n    {}", self.service, self.how, tail(repo, &self.service))
    }
}

fn broken(repo: &Path) -> anyhow::Result<Vec<Broken>> {
    let format = "{{.Service}} {{.State}} {{.ExitCode}} {{.Health}}";
    Ok(ask(repo, &["ps", "--all", "--format", format])?.lines().filter_map(parse_broken).collect())
}

/// One line of `ps`: a service, its state, its exit code, and its health if that is checked.
fn parse_broken(line: &str) -> Option<Broken> {
    let mut words = line.split_whitespace();
    let (service, state, code) = (words.next()?, words.next()?, words.next()?);
    let how = match (state, code, words.next()) {
        (_, _, Some("unhealthy")) => "is unhealthy".to_owned(),
        // The container that prepares a volume ends, and with 0, when it is done.
        ("running" | "created", _, _) | ("exited", "0", _) => return None,
        _ => format!("has ended ({state}, exit code {code})"),
    };
    Some(Broken { service: service.to_owned(), how })
}

/// The last lines of a service's log, or why there are none.
fn tail(repo: &Path, service: &str) -> String {
    match ask(repo, &["logs", "--no-color", "--no-log-prefix", "--tail", "20", service]) {
        Ok(log) => log.trim_end().replace('\n', "\n    "),
        Err(error) => error.to_string(),
    }
}

/// Removes the containers and the network; with `data`, the volumes too. How long each may take to
/// finish what it holds is said in docker-compose.yml.
///
/// # Errors
/// If Compose fails.
pub fn down(repo: &Path, data: bool) -> anyhow::Result<()> {
    let mut args = vec!["down", "--remove-orphans"];
    if data {
        args.push("--volumes");
    }
    run(repo, &args)
}

/// Whether any container of the stack is there.
///
/// # Errors
/// If Compose cannot say.
pub fn is_up(repo: &Path) -> anyhow::Result<bool> {
    Ok(!ask(repo, &["ps", "--quiet"])?.trim().is_empty())
}

/// The ports that the compose file opens on this machine, after all variables.
fn published_ports(repo: &Path) -> anyhow::Result<Vec<u16>> {
    let config: Value = serde_json::from_str(&ask(repo, &["config", "--format", "json"])?)
        .context("docker compose config is no JSON")?;
    let services = config["services"].as_object().into_iter().flat_map(|services| services.values());
    Ok(services
        .flat_map(|service| service["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["published"].as_str()?.parse().ok())
        .collect())
}

fn ask(repo: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = command(repo, args).stdin(Stdio::null()).output().context("cannot execute docker")?;
    if !output.status.success() {
        bail!("`docker compose {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(repo: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.arg("compose").args(args).current_dir(repo);
    command
}

fn ready_urls(ports: &Ports) -> [(&'static str, String); 7] {
    [
        (TraceStore::Tempo.name(), format!("http://127.0.0.1:{}/ready", ports.tempo)),
        ("prometheus", format!("http://127.0.0.1:{}/-/ready", ports.prometheus)),
        ("alertmanager", format!("http://127.0.0.1:{}/-/ready", ports.alertmanager)),
        ("collector", format!("http://127.0.0.1:{}/", ports.collector_health)),
        ("phaselab", format!("http://127.0.0.1:{}/readyz", ports.http)),
        ("worker-bad", format!("http://127.0.0.1:{}/readyz", ports.worker_bad)),
        ("worker-optimized", format!("http://127.0.0.1:{}/readyz", ports.worker_optimized)),
    ]
}

#[cfg(test)]
mod tests;
