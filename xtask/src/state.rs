//! What `up` did, remembered for `down`, `logs` and the next `up`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::config::Way;
use crate::stack::StackConfig;

/// What was started, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The way that was taken.
    pub way: Way,
    /// The configuration at that moment; later changes of the environment do not reach what runs.
    pub stack: StackConfig,
}

fn path(root: &Path) -> PathBuf {
    root.join("state.json")
}

impl State {
    /// Reads what the last `up` left; `None` when nothing was started, or `down` undid it.
    ///
    /// # Errors
    /// If there is a state that cannot be understood.
    pub fn read(root: &Path) -> anyhow::Result<Option<Self>> {
        let path = path(root);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_str(&text)
            .with_context(|| {
                format!(
                    "{} was written by another version: stop its programs (run/*.pid beside it) and remove it",
                    path.display()
                )
            })
            .map(Some)
    }

    /// Remembers this state.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let root = &self.stack.root;
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let path = path(root);
        fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget(root: &Path) -> anyhow::Result<()> {
        match fs::remove_file(path(root)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot forget the state"),
            _ => Ok(()),
        }
    }
}

/// Keeps two commands from starting and stopping the same stack at once. The lock is on the directory
/// that holds the root, so that no file of its own is left behind; it ends with the process.
///
/// # Errors
/// If another command holds it.
pub fn lock(root: &Path) -> anyhow::Result<File> {
    let dir = root.parent().unwrap_or(root);
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    if file.try_lock().is_err() {
        bail!("another `up` or `down` is under way; wait for it to end");
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_command_is_refused_while_the_first_is_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("stack");
        let first = lock(&root).unwrap();
        assert!(lock(&root).unwrap_err().to_string().contains("under way"));
        drop(first);
        lock(&root).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
