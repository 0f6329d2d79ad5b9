//! `e2e`: everything that the tests on the real programs need, and then the tests.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::build;
use crate::config::Settings;
use crate::programs::{PROMTOOL, Places, Programs};
use crate::progress::Progress;
use crate::python;

/// The commands that run the tests, in their order: the crate's own foreign readers, then the scenarios.
///
/// # Errors
/// If a program is missing or the service does not build.
pub fn commands(
    settings: &Settings,
    repo: &Path,
    args: Vec<String>,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Command>> {
    let places = Places::new(settings, &repo.join("stack"))?;
    let (found, promtool) = (Programs::find(&places, settings.trace_store), places.find(&PROMTOOL).found);
    let (Ok(programs), Some(promtool)) = (&found, &promtool) else {
        let mut missing = found.err().unwrap_or_default();
        missing.extend(promtool.is_none().then(|| PROMTOOL.name.to_owned()));
        bail!("programs are missing in {}:\n  {}\n`make stack` builds them", places.describe(), missing.join("\n  "));
    };
    let service = build::service::build(repo, settings, progress)?;
    let python = python::prometheus_client(repo, &settings.user_cache, progress);
    let python = or_skip(python, settings.ci, "what prometheus_client thinks of /metrics", progress)?;
    let mut commands = Vec::new();
    // With a part of a test's name somebody asks for that scenario.
    if args.is_empty() {
        let mut foreign = cargo_test(repo, &["otel-exemplars", "--features", "__foreign", "--lib"]);
        foreign.args(["exposition::tests::foreign", "exposition::tests::prometheus"]);
        foreign.env("OTEL_EXEMPLARS_PROMETHEUS", &programs.prometheus).env("OTEL_EXEMPLARS_PROMTOOL", promtool);
        match &python {
            Some(python) => foreign.env("OTEL_EXEMPLARS_PYTHON", python),
            None => foreign.args(["--skip", "prometheus_client"]),
        };
        commands.push(foreign);
    }
    let mut scenarios = cargo_test(repo, &["xtask", "--features", "e2e", "--test", "e2e"]);
    // Each scenario starts what it needs side by side; two at once would measure each other.
    scenarios.arg("--test-threads=1").args(args).env("PHASELAB_BIN", service);
    if python.is_none() {
        scenarios.args(["--skip", "prometheus_client"]);
    }
    commands.push(scenarios);
    Ok(commands)
}

/// Without a program the tests that need it are skipped, which is said; in CI they are not skipped but fail.
fn or_skip<T>(found: anyhow::Result<T>, ci: bool, what: &str, progress: &mut Progress) -> anyhow::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if ci => Err(error),
        Err(error) => {
            progress.say(format!("SKIPPED: {what} ({error:#})"));
            Ok(None)
        }
    }
}

fn cargo_test(repo: &Path, package: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--package"]).args(package).args(["--", "--nocapture"]).current_dir(repo);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_skipped_by_people_and_fails_in_ci() {
        let missing = || -> anyhow::Result<()> { bail!("no python3") };
        let progress = &mut Progress::silent();
        assert!(or_skip(missing(), false, "a test", progress).unwrap().is_none());
        assert_eq!(or_skip(missing(), true, "a test", progress).unwrap_err().to_string(), "no python3");
        assert!(or_skip(Ok(()), true, "a test", progress).unwrap().is_some());
    }
}
