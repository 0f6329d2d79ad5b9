//! Whether the tests of the alerts notice when an alert is wrong: promtool must object to every [mutant](mutants).

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, bail};

use super::files_of;
use crate::rules::mutants::{Mutant, mutants};

/// A mutant, the name of the file that it stands for, and the tests of that file.
struct Job {
    mutant: Mutant,
    file: PathBuf,
    tests: Vec<PathBuf>,
}

/// The mutants that no test notices, a line each.
///
/// # Errors
/// If a file cannot be read or written, or promtool objects to something else than to what a test expects.
pub(super) fn unnoticed(repo: &Path, promtool: &Path) -> anyhow::Result<Vec<String>> {
    let jobs = Mutex::new(jobs(repo)?);
    let dir = repo.join("target").join(format!("lint-mutants-{}", std::process::id()));
    let unnoticed = thread::scope(|scope| {
        let workers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|number| dir.join(number.to_string()))
            .map(|dir| scope.spawn(|| work(promtool, dir, &jobs)))
            .collect();
        let results = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a thread panicked")));
        Ok(results.collect::<anyhow::Result<Vec<_>>>()?.concat())
    });
    // What it held is of no use to anybody.
    let _ = fs::remove_dir_all(&dir);
    unnoticed
}

fn jobs(repo: &Path) -> anyhow::Result<VecDeque<Job>> {
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let tests = files_of(repo, "prometheus/tests/rules");
    let texts = tests.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let mut jobs = VecDeque::new();
    for path in files_of(repo, "prometheus/rules") {
        let file = PathBuf::from(path.file_name().unwrap_or_default());
        let of_it = |text: &str| text.contains(&format!("../rules/{}", file.display()));
        let tests: Vec<_> =
            tests.iter().zip(&texts).filter(|(_, text)| of_it(text)).map(|(test, _)| test.clone()).collect();
        let mutants = mutants(&read(&path)?).into_iter();
        jobs.extend(mutants.map(|mutant| Job { mutant, file: file.clone(), tests: tests.clone() }));
    }
    if jobs.is_empty() {
        bail!("there are no rules");
    }
    Ok(jobs)
}

/// Does jobs until none is left, in a directory of its own.
fn work(promtool: &Path, dir: PathBuf, jobs: &Mutex<VecDeque<Job>>) -> anyhow::Result<Vec<String>> {
    // Tests name the rules by a path from where they are.
    let (rules, tests) = (dir.join("rules"), dir.join("tests/rules"));
    for dir in [&rules, &tests] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let mut unnoticed = Vec::new();
    loop {
        let Some(Job { mutant, file, tests: sources }) = jobs.lock().ok().and_then(|mut jobs| jobs.pop_front()) else {
            return Ok(unnoticed);
        };
        fs::write(rules.join(&file), &mutant.text)?;
        // The name of a test begins with the alert that it is about.
        let group = format!("^{}: ", mutant.alert.as_deref().unwrap_or("Recorded"));
        let mut command = Command::new(promtool);
        command.args(["test", "rules", "--run", &group]).stdin(Stdio::null());
        for source in sources {
            let test = tests.join(source.file_name().unwrap_or_default());
            fs::copy(source, &test)?;
            command.arg(test);
        }
        let output = command.output().with_context(|| format!("cannot execute {}", promtool.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("{}: {}", mutant.alert.as_deref().unwrap_or(&file.to_string_lossy()), mutant.fault);
        if output.status.success() {
            unnoticed.push(format!("no test notices {what}"));
        } else if !said.contains(if mutant.alert.is_some() { " alertname: " } else { " expr: " }) {
            // It could not even be read, which says nothing about the tests.
            bail!("{what}: {said}");
        }
    }
}
