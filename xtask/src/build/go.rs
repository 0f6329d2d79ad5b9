//! The Go command: whether it will do, and running it with visible progress.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::progress::{Progress, human};

/// How much of a failed command's output is shown.
const SHOWN_LINES: usize = 30;

/// Checks that Go is there in a version that every module of `stack_dir` accepts, and names it.
///
/// # Errors
/// What is missing and where to get it.
pub(super) fn require(stack_dir: &Path) -> anyhow::Result<String> {
    let (needed, module) = needed_version(stack_dir)?;
    let needed = needed.map(|part| part.to_string()).join(".");
    // Asked inside the most demanding module, so that a Go that fetches newer toolchains by itself
    // answers with the one it will use.
    let output = Command::new("go").arg("version").current_dir(module).stdin(Stdio::null()).output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "Go is not on PATH, and building the stack needs version {needed} or newer.\n\
             Get it from https://go.dev/dl/, or put ready-made programs (otelcol, prometheus, promtool, alertmanager, jaeger or tempo) \
             into a directory and name it in STACK_BIN, or use `make run` for the service alone."
        ),
        Err(error) => return Err(error).context("cannot execute go"),
    };
    if !output.status.success() {
        bail!(
            "building the stack needs Go {needed} or newer; `go version` said: {}\nGet it from https://go.dev/dl/.",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().nth(2).unwrap_or("go").to_owned())
}

/// The highest `go` directive below `stack_dir`, with the directory of the module that has it.
fn needed_version(stack_dir: &Path) -> anyhow::Result<([u32; 3], std::path::PathBuf)> {
    let mut highest = ([0; 3], stack_dir.to_path_buf());
    for entry in fs::read_dir(stack_dir).with_context(|| format!("cannot read {}", stack_dir.display()))? {
        let dir = entry?.path();
        let Ok(text) = fs::read_to_string(dir.join("go.mod")) else { continue };
        let directive = text.lines().find_map(|line| line.strip_prefix("go "));
        if let Some(version) = directive.map(parse_version)
            && version > highest.0
        {
            highest = (version, dir);
        }
    }
    Ok(highest)
}

fn parse_version(text: &str) -> [u32; 3] {
    let mut parts = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The version of `dependency` that `go_mod` requires, with its `v`.
///
/// # Errors
/// If the file does not require it.
pub(super) fn version_of(go_mod: &Path, dependency: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(go_mod).with_context(|| format!("cannot read {}", go_mod.display()))?;
    text.lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .find_map(|line| line.strip_prefix(dependency)?.strip_prefix(' ')?.split_whitespace().next().map(str::to_owned))
        .with_context(|| format!("{} does not require {dependency}", go_mod.display()))
}

/// What Prometheus calls the release that its module publishes as `version`: 3.14.0 for v0.314.0,
/// because Go wants a new path for each major version.
pub(super) fn prometheus_release(version: &str) -> String {
    let [_, minor, patch] = parse_version(version.trim_start_matches('v'));
    format!("{}.{}.{patch}", minor / 100, minor % 100)
}

/// Runs a command to its end. Each line it writes to standard error counts as one step.
///
/// # Errors
/// If it cannot be executed or fails, with the last lines it wrote.
pub(super) fn run(mut command: Command, what: &str, progress: &mut Progress) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{what}: cannot execute {}", command.get_program().display()))?;
    let stderr = child.stderr.take().context("standard error was piped")?;
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut last = VecDeque::with_capacity(SHOWN_LINES);
    let mut steps = 0_usize;
    loop {
        match lines.recv_timeout(Duration::from_millis(250)) {
            Ok(line) => {
                steps += 1;
                if last.len() == SHOWN_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        progress.update(format!("{what}: {steps} packages, {}", human(start.elapsed())));
    }
    let status = child.wait()?;
    // It has ended: the channel is closed.
    let _ = reader.join();
    if !status.success() {
        bail!("{what} failed ({status}) after {}:\n  {}", human(start.elapsed()), Vec::from(last).join("\n  "));
    }
    progress.say(format!("{what}: done in {}", human(start.elapsed())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_pinned_dependency_is_what_its_release_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("go.mod");
        fs::write(&file, "module x\n\nrequire (\n\texample.com/a v1.62.0 // indirect\n\texample.com/ab v1.0.0\n)\nrequire example.com/p v0.314.2\n")
            .unwrap();
        assert_eq!(version_of(&file, "example.com/a").unwrap(), "v1.62.0");
        assert_eq!(prometheus_release(&version_of(&file, "example.com/p").unwrap()), "3.14.2");
        assert!(version_of(&file, "example.com/none").is_err());
    }

    #[test]
    fn a_command_that_fails_shows_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo why >&2; exit 3"]);
        let error = run(command, "thing", &mut Progress::default()).unwrap_err().to_string();
        assert!(error.contains("thing failed") && error.contains("why"), "{error}");
    }

    #[test]
    fn the_most_demanding_module_decides() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("a", "module a\n\ngo 1.9.1\n"), ("b", "module b\n\ngo 1.25.8\n"), ("c", "module c\n\ngo 1.25\n")]
        {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("go.mod"), text).unwrap();
        }
        assert_eq!(needed_version(dir.path()).unwrap(), ([1, 25, 8], dir.path().join("b")));
    }
}
