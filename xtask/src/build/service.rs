//! Builds the service itself with Cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::config::Settings;
use crate::progress::{Progress, human};

/// The service's program: the one that the settings name, or a fresh build. Cargo's own output goes
/// to the terminal.
///
/// # Errors
/// If the named program is not there, Cargo cannot be executed, or the build fails.
pub fn build(repo: &Path, settings: &Settings, progress: &mut Progress) -> anyhow::Result<PathBuf> {
    if let Some(program) = &settings.service {
        let program =
            program.canonicalize().with_context(|| format!("PHASELAB_BIN={} is not there", program.display()))?;
        progress.say(format!("phaselab: {}", program.display()));
        return Ok(program);
    }
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--package", "phaselab", "--bin", "phaselab", "--message-format=json-render-diagnostics"]);
    if settings.release {
        command.arg("--release");
    }
    let output = command
        .current_dir(repo)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot execute cargo")?;
    if !output.status.success() {
        bail!("phaselab does not build; the compiler's messages are above");
    }
    // Asked instead of guessed: CARGO_TARGET_DIR and configuration files move the target directory.
    let program = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "phaselab")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo did not say where it put phaselab")?;
    progress.say(format!("phaselab: built in {}", human(start.elapsed())));
    Ok(program)
}
