//! `logs`: what the programs of the running stack said last, or as they say it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::Way;
use crate::state::State;
use crate::{compose, process, stack_root};

/// Prints the last `lines` lines of one service's log, or of all, and with `follow` what comes after.
///
/// # Errors
/// If nothing was started, there is no such service, or standard output is gone.
pub fn logs(repo: &Path, service: Option<&str>, lines: usize, follow: bool) -> anyhow::Result<()> {
    let root = stack_root(repo);
    if let Some(State { way: Way::Docker, .. }) = State::read(&root)? {
        let lines = lines.to_string();
        let mut args = vec!["logs", "--tail", &lines];
        if follow {
            args.push("--follow");
        }
        args.extend(service);
        return compose::run(repo, &args);
    }
    let files = find(&root.join("logs"), service)?;
    let mut out = std::io::stdout().lock();
    for (name, path) in &files {
        for line in process::tail(path, lines) {
            writeln!(out, "{name:<12} | {line}")?;
        }
    }
    if follow { self::follow(&files, &mut out) } else { Ok(()) }
}

fn find(dir: &Path, service: Option<&str>) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".log")?.to_owned();
            Some((name, path))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("there are no logs: start the stack with `make up`");
    }
    if let Some(service) = service {
        let names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
        files.retain(|(name, _)| name == service);
        if files.is_empty() {
            bail!("there is no log of {service}: use one of {}", names.join(", "));
        }
    }
    Ok(files)
}

fn follow(files: &[(String, PathBuf)], out: &mut impl Write) -> anyhow::Result<()> {
    let mut readers = Vec::new();
    for (name, path) in files {
        let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        readers.push((name, BufReader::new(file), String::new()));
    }
    loop {
        let mut quiet = true;
        for (name, reader, line) in &mut readers {
            // A line may be read in pieces while it is being written.
            while reader.read_line(line)? > 0 {
                quiet = false;
                if line.ends_with('\n') {
                    write!(out, "{name:<12} | {line}")?;
                    line.clear();
                }
            }
        }
        if quiet {
            out.flush()?;
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_service_is_picked_by_name_and_a_wrong_name_shows_the_right_ones() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["collector.log", "collector.log.1", "tempo.log"] {
            fs::write(dir.path().join(file), "x\n").unwrap();
        }
        assert_eq!(find(dir.path(), None).unwrap().len(), 2, "a kept old log is not a service");
        assert_eq!(find(dir.path(), Some("tempo")).unwrap()[0].0, "tempo");
        let error = find(dir.path(), Some("grafana")).unwrap_err().to_string();
        assert!(error.contains("use one of collector, tempo"), "{error}");
    }

    #[test]
    fn without_logs_it_says_how_to_get_some() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find(&dir.path().join("none"), None).unwrap_err().to_string().contains("make up"));
    }
}
