//! Asks Prometheus for the rules and for the parts of every query, and checks what they name.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::documents::{self, Document};
use super::names::Known;
use crate::config::Settings;
use crate::http;
use crate::ports::Ports;

/// How long Prometheus may take to start and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the service prints, one line per series.
///
/// # Errors
/// If it cannot be built or does not know the question.
pub(super) fn listing(settings: &Settings, repo: &Path) -> anyhow::Result<String> {
    let mut command = match &settings.service {
        Some(service) => Command::new(service),
        None => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--package", "phaselab", "--bin", "phaselab", "--"]);
            cargo
        }
    };
    let output = command.args(["check", "--names"]).current_dir(repo).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("`phaselab check --names` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Everything that is wrong with the names in rules and documents, a line each.
///
/// # Errors
/// If Prometheus cannot be asked or a file cannot be read.
pub(super) fn faults(repo: &Path, prometheus: &Path, listing: &str) -> anyhow::Result<Vec<String>> {
    let mut known = Known::new(listing)?;
    let server = Server::start(repo, prometheus)?;
    let mut faults = Vec::new();
    let rules = server.rules()?;
    // What is recorded may be recorded from what is recorded: until nothing new comes of it.
    let mut before = Vec::new();
    loop {
        let mut recorded = Vec::new();
        for rule in rules.iter().filter(|rule| rule["type"] == "recording") {
            let name = rule["name"].as_str().unwrap_or_default();
            let labels = known.labels(&server.parse(rule["query"].as_str().unwrap_or_default())?, &mut Vec::new());
            known.record(name, labels.clone());
            recorded.push(labels);
        }
        if recorded == before {
            break;
        }
        before = recorded;
    }
    let parse = |query: &str| server.parse(query);
    for rule in &rules {
        faults.extend(rule_faults(repo, rule, &known, &parse)?);
    }
    faults.extend(unused_runbooks(repo, &rules)?);
    for path in documents::files(repo)? {
        let place = path.strip_prefix(repo).unwrap_or(&path).display().to_string();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {place}"))?;
        faults.extend(document_faults(&place, &text, &known, &parse));
    }
    Ok(faults)
}

/// Gives the parts of a query.
type Parse<'a> = &'a dyn Fn(&str) -> anyhow::Result<Value>;

fn rule_faults(repo: &Path, rule: &Value, known: &Known, parse: Parse<'_>) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let labels = known.labels(&parse(rule["query"].as_str().unwrap_or_default())?, &mut found);
    if rule["type"] == "alerting" {
        found.extend(alert_faults(repo, rule, &labels));
    }
    Ok(found.into_iter().map(|fault| format!("rule {}: {fault}", rule["name"])).collect())
}

/// What is wrong in a document, runbooks among them.
fn document_faults(place: &str, text: &str, known: &Known, parse: Parse<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let document = Document::parse(text);
    for query in &document.queries {
        let mut found = Vec::new();
        match parse(&query.text) {
            Ok(node) => drop(known.labels(&node, &mut found)),
            Err(error) => found.push(error.to_string()),
        }
        faults.extend(found.into_iter().map(|fault| format!("{place}:{}: {fault}", query.line)));
    }
    for code in &document.code {
        let strangers = known.strangers(&code.text);
        faults.extend(strangers.into_iter().map(|word| format!("{place}:{}: nothing emits {word}", code.line)));
    }
    faults
}

/// What an alert must have besides its query.
fn alert_faults(repo: &Path, rule: &Value, labels: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if !["critical", "warning"].iter().any(|severity| rule["labels"]["severity"] == *severity) {
        faults.push("its severity is neither critical nor warning".to_owned());
    }
    for annotation in ["summary", "description", "runbook"] {
        let text = rule["annotations"][annotation].as_str().unwrap_or_default();
        if text.is_empty() {
            faults.push(format!("it has no {annotation}"));
        }
        for after in text.split("$labels.").skip(1) {
            let label = after.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
            if !labels.contains(label) {
                faults.push(format!("its {annotation} shows the label {label}, which its query does not give"));
            }
        }
    }
    let runbook = rule["annotations"]["runbook"].as_str().unwrap_or_default();
    if !repo.join(runbook).is_file() {
        faults.push(format!("there is no runbook {runbook:?}"));
    }
    faults
}

/// Runbooks of alerts that are gone.
fn unused_runbooks(repo: &Path, rules: &[Value]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in documents::files(&repo.join("docs/runbooks"))? {
        let runbook = path.strip_prefix(repo).unwrap_or(&path).display().to_string();
        if !rules.iter().any(|rule| rule["annotations"]["runbook"] == runbook.as_str()) {
            faults.push(format!("{runbook}: no alert names this runbook"));
        }
    }
    Ok(faults)
}

/// A Prometheus that has read the rules and scrapes nothing.
struct Server {
    child: Child,
    address: String,
    dir: PathBuf,
}

impl Server {
    fn start(repo: &Path, prometheus: &Path) -> anyhow::Result<Self> {
        let dir = repo.join("target").join(format!("lint-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        for name in ["prometheus.yml", "rules"] {
            symlink(repo.join("prometheus").join(name), dir.join(name))?;
        }
        let address = format!("127.0.0.1:{}", Ports::free()?.prometheus);
        let child = Command::new(prometheus)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot execute {}", prometheus.display()))?;
        let mut server = Self { child, address, dir };
        let start = Instant::now();
        // The rules are loaded a moment after it says that it is ready.
        while server.rules().map_or(true, |rules| rules.is_empty()) {
            if let Some(status) = server.child.try_wait()? {
                bail!("Prometheus ended ({status}); `promtool check config` says why");
            }
            if start.elapsed() > PATIENCE {
                bail!("Prometheus shows no rules after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    fn rules(&self) -> anyhow::Result<Vec<Value>> {
        let data = self.ask("rules")?;
        let groups = data["groups"].as_array().into_iter().flatten();
        Ok(groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// The parts of a query.
    fn parse(&self, query: &str) -> anyhow::Result<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.ask(&format!("parse_query?query={encoded}"))
    }

    fn ask(&self, what: &str) -> anyhow::Result<Value> {
        let (_, body) = http::get(&format!("http://{}/api/v1/{what}", self.address), PATIENCE)?;
        let mut answer: Value = serde_json::from_str(&body).with_context(|| format!("Prometheus answers {body:?}"))?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"].as_str().unwrap_or(&body));
        }
        Ok(answer["data"].take())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is asked of it any more, and nothing it wrote is kept.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests;
