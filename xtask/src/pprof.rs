//! Go's reader of profiles, `go tool pprof`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The `go` on `PATH`, once its profile reader is there: newer releases build it when it is first used.
///
/// # Errors
/// If there is no Go, or it has no profile reader.
pub fn go() -> anyhow::Result<PathBuf> {
    tool()?;
    Ok(PathBuf::from("go"))
}

/// The profile reader itself, which starts without looking for changes of its source.
///
/// # Errors
/// As [`go`].
pub fn tool() -> anyhow::Result<PathBuf> {
    // `-h` fails by design; what counts is that the tool is there afterwards.
    run(&["tool", "pprof", "-h"])?;
    let (found, said) = run(&["tool", "-n", "pprof"])?;
    let path = PathBuf::from(said.trim());
    if !found || !path.is_file() {
        bail!("`go tool pprof` is not available ({}): get Go from https://go.dev/dl/", said.trim());
    }
    Ok(path)
}

fn run(args: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = Command::new("go")
        .args(args)
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .output()
        .context("cannot execute go: get it from https://go.dev/dl/")?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
