//! Prometheus's working directory: its configuration as it lies in the repository, and beside it the
//! targets of this stack, which is all that differs between containers and native programs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::StackConfig;
use crate::config::TraceStore;

/// Writes `<root>/prometheus`, if the stack has one.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write(config: &StackConfig) -> anyhow::Result<()> {
    let Some(store) = config.store() else { return Ok(()) };
    let source = config.prometheus_config.clone().unwrap_or_else(|| config.repo.join("prometheus"));
    let dir = config.root.join("prometheus");
    let targets = dir.join("targets");
    fs::create_dir_all(&targets).with_context(|| format!("cannot create {}", targets.display()))?;
    // Links, not copies: after an edit in the repository a reload is enough.
    for name in ["prometheus.yml", "rules"] {
        let link = dir.join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink(source.join(name), &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    for (name, content) in render(config, store) {
        put(&targets.join(name), &content)?;
    }
    Ok(())
}

/// Writes the working directory of a second Prometheus that scrapes the service and nothing else.
///
/// # Errors
/// If a file cannot be written.
pub fn write_scrape_only(config: &StackConfig, dir: &Path) -> anyhow::Result<()> {
    let targets = dir.join("targets");
    fs::create_dir_all(&targets).with_context(|| format!("cannot create {}", targets.display()))?;
    let source = config.repo.join("prometheus/tests/scrape-only.yml");
    fs::copy(&source, dir.join("prometheus.yml")).with_context(|| format!("cannot copy {}", source.display()))?;
    put(&targets.join("phaselab.yml"), &target(config.ports.http))
}

/// The target files of this stack: name and content.
fn render(config: &StackConfig, store: TraceStore) -> [(&'static str, String); 4] {
    let ports = &config.ports;
    let store = match store {
        TraceStore::Tempo => ports.tempo,
        TraceStore::Jaeger => ports.jaeger_admin,
    };
    [
        ("prometheus.yml", target(ports.prometheus)),
        ("alertmanager.yml", target(ports.alertmanager)),
        ("collector.yml", target(ports.collector_metrics)),
        ("trace-store.yml", target(store)),
    ]
}

/// JSON is YAML too; the names are the same as those that are checked in for containers.
fn target(port: u16) -> String {
    json!([{ "targets": [format!("127.0.0.1:{port}")] }]).to_string() + "\n"
}

/// Prometheus watches these files: it must never read a half-written one.
fn put(path: &Path, content: &str) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
