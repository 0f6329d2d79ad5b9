//! `lint`: everything that can be wrong without running it, code and configuration alike.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::bail;

use crate::config::Settings;
use crate::programs::{ALERTMANAGER, AMTOOL, COLLECTOR, COMPOSE, PROMETHEUS, PROMTOOL, Places, Program, TEMPO};
use crate::progress::{Progress, human};

mod alertmanager;
mod documents;
mod mutants;
mod names;
mod queries;

/// Configurations that are laid over the collector's own, each checked together with it.
const OVERLAYS: [&str; 3] = ["debug.yaml", "tests/no-keep-policy.yaml", "tests/strip-mark.yaml"];

/// Everything that is only built when somebody asks for it, apart from the tests under loom.
pub(crate) const FEATURES: &str = "--features=xtask/e2e,otel-exemplars/__foreign,span-profiler/__foreign,span-profiler/__measure,\
                        span-profiler/heap-conf";

/// How one check ended.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Outcome {
    /// Of a check that finds faults, a line each.
    fn of(faults: anyhow::Result<Vec<String>>) -> Self {
        match faults {
            Ok(faults) if faults.is_empty() => Self::Passed,
            Ok(faults) => Self::Failed(faults.join("\n")),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

/// Runs every check, also after one has failed.
///
/// # Errors
/// If a check fails, or under `CI` one that needs the collector or promtool could not run.
pub fn lint(settings: &Settings, repo: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    let places = Places::new(settings, &repo.join("stack"))?;
    let mut failed = Vec::new();
    for (name, check) in checks(settings, repo, &places) {
        let start = Instant::now();
        match check() {
            Outcome::Passed => progress.say(format!("  ok       {name} ({})", human(start.elapsed()))),
            Outcome::Skipped(why) => progress.say(format!("  skipped  {name}: {why}")),
            Outcome::Failed(why) => {
                progress.say(format!("  FAILED   {name}\n{why}"));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} of the checks failed: {}", failed.len(), failed.join(", "));
    }
    Ok(())
}

type Check<'a> = Box<dyn Fn() -> Outcome + 'a>;

fn checks<'a>(settings: &'a Settings, repo: &'a Path, places: &'a Places) -> Vec<(String, Check<'a>)> {
    let mut checks: Vec<(String, Check<'a>)> = vec![
        ("cargo fmt".to_owned(), Box::new(|| cargo(repo, &["fmt", "--all", "--check"], None))),
        (
            "cargo clippy".to_owned(),
            Box::new(|| {
                cargo(
                    repo,
                    &["clippy", "--quiet", "--workspace", "--all-targets", FEATURES, "--", "-D", "warnings"],
                    None,
                )
            }),
        ),
        (
            "cargo doc".to_owned(),
            Box::new(|| {
                cargo(
                    repo,
                    &["doc", "--quiet", "--workspace", FEATURES, "--no-deps"],
                    Some(("RUSTDOCFLAGS", "-D warnings")),
                )
            }),
        ),
    ];
    for overlay in std::iter::once(None).chain(OVERLAYS.map(Some)) {
        let name =
            format!("otelcol validate config.yaml{}", overlay.map(|name| format!(" + {name}")).unwrap_or_default());
        checks.push((name, Box::new(move || validate_collector(settings, repo, places, overlay))));
    }
    for file in ["prometheus.yml", "tests/scrape-only.yml"] {
        let check = move || {
            with_program(places, &PROMTOOL, settings.ci, |promtool| {
                run(Command::new(promtool).args(["check", "config"]).arg(repo.join("prometheus").join(file)))
            })
        };
        checks.push((format!("promtool check config {file}"), Box::new(check)));
    }
    checks.push(("promtool check rules".to_owned(), Box::new(move || check_rules(settings, repo, places))));
    checks.push(("promtool test rules".to_owned(), Box::new(move || test_rules(settings, repo, places))));
    checks.push(("tests of rules notice faults".to_owned(), Box::new(move || test_mutants(settings, repo, places))));
    checks.push(("names in rules and documents".to_owned(), Box::new(move || check_names(settings, repo, places))));
    for file in alertmanager::CONFIGURATIONS {
        let check = move || check_alertmanager(settings, repo, places, file);
        checks.push((format!("alertmanager {file}"), Box::new(check)));
    }
    let tempo = move || {
        // Tempo cannot be built from the module proxy, so not even CI can be asked to have it.
        with_program(places, &TEMPO, false, |tempo| {
            let file = format!("-config.file={}", repo.join("tempo/tempo.yaml").display());
            run(Command::new(tempo).args(["-target=all", "-config.verify=true", "-config.expand-env=true", &file]))
        })
    };
    checks.push(("tempo -config.verify".to_owned(), Box::new(tempo)));
    checks.push(("docker compose config".to_owned(), Box::new(move || check_compose(settings, repo, places))));
    checks
}

fn validate_collector(settings: &Settings, repo: &Path, places: &Places, overlay: Option<&str>) -> Outcome {
    let dir = repo.join("otel-collector");
    with_program(places, &COLLECTOR, settings.ci, |otelcol| {
        let mut command = Command::new(otelcol);
        command.arg("validate").arg("--config").arg(dir.join("config.yaml"));
        if let Some(overlay) = overlay {
            command.arg("--config").arg(dir.join(overlay));
        }
        // Validation opens no queue, but it insists on a directory that could hold one.
        command.env("PHASELAB_COLLECTOR_DATA", std::env::temp_dir());
        run(&mut command)
    })
}

/// The files of a folder below the repository, in order.
fn files_of(repo: &Path, dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repo.join(dir)).into_iter().flatten();
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

fn check_rules(settings: &Settings, repo: &Path, places: &Places) -> Outcome {
    with_program(places, &PROMTOOL, settings.ci, |promtool| {
        let mut command = Command::new(promtool);
        run(command.args(["check", "rules", "--lint=all", "--lint-fatal"]).args(files_of(repo, "prometheus/rules")))
    })
}

fn test_rules(settings: &Settings, repo: &Path, places: &Places) -> Outcome {
    with_program(places, &PROMTOOL, settings.ci, |promtool| {
        run(Command::new(promtool).args(["test", "rules"]).args(files_of(repo, "prometheus/tests/rules")))
    })
}

fn test_mutants(settings: &Settings, repo: &Path, places: &Places) -> Outcome {
    with_program(places, &PROMTOOL, settings.ci, |promtool| Outcome::of(mutants::unnoticed(repo, &promtool)))
}

fn check_names(settings: &Settings, repo: &Path, places: &Places) -> Outcome {
    with_program(places, &PROMETHEUS, settings.ci, |prometheus| {
        Outcome::of(queries::listing(settings, repo).and_then(|names| queries::faults(repo, &prometheus, &names)))
    })
}

/// amtool where it is found, otherwise Alertmanager itself, which reads its configuration before it listens.
fn check_alertmanager(settings: &Settings, repo: &Path, places: &Places, file: &str) -> Outcome {
    let path = repo.join("alertmanager").join(file);
    if let Some(amtool) = places.find(&AMTOOL).found {
        return run(Command::new(amtool).arg("check-config").arg(path));
    }
    with_program(places, &ALERTMANAGER, settings.ci, |program| match alertmanager::starts(repo, &program, &path) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    })
}

/// Compose reads its file without an engine, so the program alone is enough.
fn check_compose(settings: &Settings, repo: &Path, places: &Places) -> Outcome {
    with_program(places, &COMPOSE, settings.ci, |compose| {
        run(Command::new(compose).args(["config", "--quiet"]).current_dir(repo))
    })
}

fn with_program(places: &Places, program: &Program, required: bool, check: impl Fn(PathBuf) -> Outcome) -> Outcome {
    match places.find(program).found {
        Some(path) => check(path),
        None => {
            let hint = if program.name == TEMPO.name { "" } else { "; `make stack` builds it" };
            let why = format!("{} is not in {}{hint}", program.name, places.describe());
            if required { Outcome::Failed(why) } else { Outcome::Skipped(why) }
        }
    }
}

fn cargo(repo: &Path, args: &[&str], variable: Option<(&str, &str)>) -> Outcome {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).envs(variable).current_dir(repo);
    run(&mut command)
}

fn run(command: &mut Command) -> Outcome {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Outcome::Passed,
        Ok(output) => Outcome::Failed(
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        ),
        Err(error) => Outcome::Failed(format!("cannot execute {}: {error}", command.get_program().display())),
    }
}
