//! The containers' way: Docker Compose does the work, this module asks whether it can and waits.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use serde_json::Value;

use crate::config::TraceStore;
use crate::http;
use crate::ports::{self, Ports};
use crate::progress::{Progress, human};

/// How long the services may take once Compose says they run.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Whether Compose can be used for the repository; if not, why not.
///
/// # Errors
/// The first thing that is missing.
pub fn available(repo: &Path) -> Result<(), String> {
    if !repo.join("docker-compose.yml").is_file() {
        return Err("there is no docker-compose.yml".to_owned());
    }
    asks(&["version", "--format", "{{.Server.Version}}"])
        .map_err(|answer| format!("no Docker engine answers ({answer})"))?;
    asks(&["compose", "version"]).map_err(|answer| format!("Docker has no compose plugin ({answer})"))
}

/// Whether `docker compose` is there, engine or not.
///
/// # Errors
/// What `docker` said instead.
pub fn has_plugin() -> Result<(), String> {
    asks(&["compose", "version"])
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
    let status =
        Command::new("docker").arg("compose").args(args).current_dir(repo).status().context("cannot execute docker")?;
    if !status.success() {
        bail!("`docker compose {}` failed ({status})", args.join(" "));
    }
    Ok(())
}

/// Starts the containers and waits until the services in them answer.
///
/// # Errors
/// If a port is taken, Compose fails, or a service is not ready in time.
pub fn up(repo: &Path, ports: &Ports, progress: &mut Progress) -> anyhow::Result<()> {
    if !is_up(repo)? {
        let published = published_ports(repo)?;
        ports::check_free(ports, |_, port| published.contains(&port))?;
    }
    run(repo, &["up", "--detach", "--build", "--wait"])?;
    // Not every image has something that could check its health, so Compose may be content early.
    for (label, url) in ready_urls(ports) {
        let start = Instant::now();
        while let Err(answer) = http::is_ready(&url) {
            if start.elapsed() > READY_WITHIN {
                let _ = run(repo, &["ps", "--all"]);
                let _ = run(repo, &["logs", "--tail", "20", label]);
                bail!("{label} is not ready after {}: {url} says {answer}", human(start.elapsed()));
            }
            progress.update(format!("  waiting {label:<11} {:>6}", human(start.elapsed())));
            std::thread::sleep(Duration::from_millis(250));
        }
        progress.say(format!("  ready   {label:<11} {:>6}  {url}", human(start.elapsed())));
    }
    Ok(())
}

/// Removes the containers and the network; with `data`, the volumes too.
///
/// # Errors
/// If Compose fails.
pub fn down(repo: &Path, data: bool) -> anyhow::Result<()> {
    // The service and the collector finish what they hold within this time.
    let mut args = vec!["down", "--timeout", "20", "--remove-orphans"];
    if data {
        args.push("--volumes");
    }
    run(repo, &args)
}

fn is_up(repo: &Path) -> anyhow::Result<bool> {
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
    let output = Command::new("docker")
        .arg("compose")
        .args(args)
        .current_dir(repo)
        .stdin(Stdio::null())
        .output()
        .context("cannot execute docker")?;
    if !output.status.success() {
        bail!("`docker compose {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ready_urls(ports: &Ports) -> [(&'static str, String); 4] {
    [
        (TraceStore::Tempo.name(), format!("http://127.0.0.1:{}/ready", ports.tempo)),
        ("prometheus", format!("http://127.0.0.1:{}/-/ready", ports.prometheus)),
        ("collector", format!("http://127.0.0.1:{}/", ports.collector_health)),
        ("phaselab", format!("http://127.0.0.1:{}/readyz", ports.http)),
    ]
}
