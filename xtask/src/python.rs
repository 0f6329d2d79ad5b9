//! A Python that has foreign readers: prometheus_client, whose parser of OpenMetrics is the strictest, and the schema of
//! Perfetto's traces.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::progress::Progress;

/// Fails unless all of them are there.
const IMPORTS: &str = "import prometheus_client, perfetto.protos.perfetto.trace.perfetto_trace_pb2";

/// The interpreter of a virtual environment below `user_cache`, which is made if it is not there.
///
/// # Errors
/// If there is no Python 3, or pip cannot install the pinned versions.
pub fn with_readers(repo: &Path, user_cache: &Path, progress: &mut Progress) -> anyhow::Result<PathBuf> {
    let requirements = repo.join("xtask/python/requirements.txt");
    let pinned = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let version = run(Command::new("python3").arg("--version"))?;
    let mut hash = Sha256::new();
    hash.update(version);
    hash.update(pinned);
    let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let dir = user_cache.join(format!("python-{key}"));
    let python = dir.join("bin").join("python3");
    // Asked instead of believed: an installation that was interrupted, or whose own Python is gone, is made anew.
    if python.exists() && run(Command::new(&python).args(["-c", IMPORTS])).is_ok() {
        return Ok(python);
    }
    progress.say(format!("python: installing prometheus_client and perfetto into {}", dir.display()));
    fs::create_dir_all(user_cache).with_context(|| format!("cannot create {}", user_cache.display()))?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
    run(Command::new(&python).args(pip).arg(&requirements))?;
    Ok(python)
}

/// What a command prints, if it succeeds.
fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot execute {}", command.get_program().display()))?;
    if !output.status.success() {
        let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        bail!("{} {} failed: {}", command.get_program().display(), args.join(" "), said.trim());
    }
    Ok(output.stdout)
}
