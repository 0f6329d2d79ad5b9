//! Whether Alertmanager takes a configuration, shown by its own start.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::http;
use crate::ports::Ports;
use crate::process;

/// The configurations in `alertmanager/`.
pub(super) const CONFIGURATIONS: [&str; 2] = ["alertmanager.yml", "slack.yml"];

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts `program` with a configuration until it is ready, and ends it.
///
/// # Errors
/// If it ends by itself, with what it said, or is not ready in time.
pub(super) fn starts(repo: &Path, program: &Path, file: &Path) -> anyhow::Result<()> {
    let dir = repo.join("target").join(format!("lint-alertmanager-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let result = ready(program, file, &dir);
    let _ = fs::remove_dir_all(&dir);
    result
}

fn ready(program: &Path, file: &Path, dir: &Path) -> anyhow::Result<()> {
    let port = Ports::free()?.prometheus;
    let log = dir.join("log");
    let mut child = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()
        .with_context(|| format!("cannot execute {}", program.display()))?;
    let start = Instant::now();
    let result = loop {
        if http::is_ready(&format!("http://127.0.0.1:{port}/-/ready")).is_ok() {
            break Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended ({status}):\n{}", process::tail(&log, 5).join("\n"));
        }
        if start.elapsed() > PATIENCE {
            break Err(anyhow::anyhow!("it is not ready after {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    child.kill()?;
    child.wait()?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_configurations_route_and_inhibit_alike_and_the_default_tells_nobody() {
        let [default, slack] =
            CONFIGURATIONS.map(|file| fs::read_to_string(crate::repo().join("alertmanager").join(file)).unwrap());
        let common = |text: &str| {
            let (_, rest) = text.split_once("\nroute:\n").unwrap();
            rest.split_once("\nreceivers:\n").unwrap().0.replace("receiver: slack", "receiver: nobody")
        };
        assert_eq!(common(&default), common(&slack));
        assert!(default.ends_with("\nreceivers:\n  - name: nobody\n") && default.contains("tells nobody"));
        assert!(slack.contains("api_url_file: ") && !slack.contains("api_url: "));
    }
}
