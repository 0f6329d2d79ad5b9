//! `e2e`: everything that the tests on the real programs need, and then the tests.

mod sanitizer;

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::build;
use crate::config::Settings;
use crate::lint::FEATURES;
use crate::pprof;
use crate::programs::{PROMTOOL, Places, Programs};
use crate::progress::Progress;
use crate::python;

/// A part of the tests.
#[derive(Debug)]
pub struct Step {
    /// What it shows.
    pub what: &'static str,
    /// How it is run.
    pub command: Command,
}

/// The steps in their order: what the crates' tests need other programs or minutes for, then the scenarios.
///
/// # Errors
/// If a program is missing or the service does not build.
pub fn steps(
    settings: &Settings,
    repo: &Path,
    args: Vec<String>,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Step>> {
    let places = Places::new(settings, &repo.join("stack"))?;
    let (found, promtool) = (Programs::find(&places, settings.trace_store), places.find(&PROMTOOL).found);
    let (Ok(programs), Some(promtool)) = (&found, &promtool) else {
        let mut missing = found.err().unwrap_or_default();
        missing.extend(promtool.is_none().then(|| PROMTOOL.name.to_owned()));
        bail!("programs are missing in {}:\n  {}\n`make stack` builds them", places.describe(), missing.join("\n  "));
    };
    let service = build::service::build(repo, settings, progress)?;
    let python = python::with_readers(repo, &settings.user_cache, progress);
    let what = "what prometheus_client thinks of /metrics, and Perfetto's schema of execution traces";
    let python = or_skip(python, settings.ci, what, progress)?;
    let go = or_skip(pprof::go(), settings.ci, "what go tool pprof thinks of profiles", progress)?;
    let mut steps = Vec::new();
    // With a part of a test's name somebody asks for that scenario.
    if args.is_empty() {
        let mut foreign = cargo_test(repo, &["--lib"]);
        foreign.args(["exposition::tests::foreign", "exposition::tests::prometheus"]);
        foreign.env("OTEL_EXEMPLARS_PROMETHEUS", &programs.prometheus).env("OTEL_EXEMPLARS_PROMTOOL", promtool);
        match &python {
            Some(python) => foreign.env("OTEL_EXEMPLARS_PYTHON", python),
            None => foreign.args(["--skip", "prometheus_client"]),
        };
        steps.push(Step { what: "others read the metrics", command: foreign });
        steps.extend(profiler(repo, go.as_deref(), python.as_deref()));
        let what = "memory errors of the profiler's unsafe code";
        let sanitized = or_skip(sanitizer::address(repo), settings.ci, what, progress)?;
        steps.extend(sanitized.map(|command| Step { what: "AddressSanitizer watches the profiler", command }));
    }
    let mut scenarios = cargo_test(repo, &["--test", "e2e"]);
    // Each scenario starts what it needs side by side; two at once would measure each other.
    scenarios.arg("--test-threads=1").args(args).env("PHASELAB_BIN", service);
    if python.is_none() {
        scenarios.args(["--skip", "prometheus_client"]);
    }
    steps.push(Step { what: "scenarios on the real programs", command: scenarios });
    Ok(steps)
}

/// The profiler's tests that need other programs, and those that take minutes.
fn profiler(repo: &Path, go: Option<&Path>, python: Option<&Path>) -> Vec<Step> {
    let mut foreign = cargo_test(repo, &["--lib"]);
    foreign.args(["pprof::tests::foreign", "execution::tests::foreign"]);
    match go {
        Some(go) => foreign.env("SPAN_PROFILER_GO", go),
        None => foreign.args(["--skip", "go_"]),
    };
    match python {
        Some(python) => foreign.env("SPAN_PROFILER_PYTHON", python),
        None => foreign.args(["--skip", "perfetto_"]),
    };
    vec![
        Step { what: "others read the profiles", command: foreign },
        Step { what: "profiles show where CPU time is spent", command: cargo_test(repo, &["--test", "accuracy"]) },
        Step { what: "profiles of every kind under full load", command: cargo_test(repo, &["--test", "storm"]) },
    ]
}

/// Without a program the tests that need it are skipped, which is said; in CI they are not skipped but fail.
///
/// # Errors
/// What is missing, in CI.
pub fn or_skip<T>(
    found: anyhow::Result<T>,
    ci: bool,
    what: &str,
    progress: &mut Progress,
) -> anyhow::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if ci => Err(error),
        Err(error) => {
            progress.say(format!("SKIPPED: {what} ({error:#})"));
            Ok(None)
        }
    }
}

/// Some targets of the whole workspace with all features that add tests. With a package alone Cargo would choose fewer
/// features for what it depends on, and build that again; so it is as `make test` has left it.
fn cargo_test(repo: &Path, targets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", FEATURES]).args(targets).args(["--", "--nocapture"]).current_dir(repo);
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
