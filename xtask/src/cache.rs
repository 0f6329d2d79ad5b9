//! The user cache of built programs. Its key is the content of `stack/` and of the build's own
//! settings, so that a changed pin is built anew and everything else never is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::build;

/// The directory that holds the programs built from `stack_dir`.
///
/// # Errors
/// If `stack_dir` cannot be read.
pub fn bin_dir(cache: &Path, stack_dir: &Path) -> anyhow::Result<PathBuf> {
    Ok(cache.join(key(stack_dir)?).join("bin"))
}

/// The key for `stack_dir`: 16 hexadecimal digits.
///
/// # Errors
/// If `stack_dir` cannot be read.
pub fn key(stack_dir: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(stack_dir, &mut files).with_context(|| format!("cannot read {}", stack_dir.display()))?;
    files.sort();
    let mut hash = Sha256::new();
    // A home shared by machines of two kinds must not mix their programs.
    for part in [std::env::consts::OS, std::env::consts::ARCH].into_iter().chain(build::FLAGS) {
        hash.update(part);
        hash.update([0]);
    }
    for file in files {
        let name = file.strip_prefix(stack_dir).unwrap_or(&file);
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hash.update(name.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps the newest `keep` builds below `cache`: each takes a few hundred megabytes, and a branch
/// that changes a pin leaves one behind.
///
/// # Errors
/// If the cache cannot be read or a build cannot be removed.
pub fn prune(cache: &Path, keep: usize) -> anyhow::Result<()> {
    let mut builds: Vec<_> = fs::read_dir(cache)
        .with_context(|| format!("cannot read {}", cache.display()))?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("bin").is_dir())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    builds.sort();
    for (_, path) in builds.iter().rev().skip(keep) {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove the old build {}", path.display()))?;
    }
    Ok(())
}

/// Only what the build reads: a remark in a README must not cost a rebuild.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ["go", "mod", "sum", "yaml"].iter().any(|known| ext == *known)) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/go.mod"), "module a").unwrap();
        fs::write(dir.path().join("manifest.yaml"), "dist:").unwrap();
        dir
    }

    #[test]
    fn the_key_depends_on_content_and_names_alone() {
        let (one, two) = (stack(), stack());
        assert_eq!(key(one.path()).unwrap(), key(two.path()).unwrap(), "the place does not matter");
        assert_eq!(key(one.path()).unwrap().len(), 16);
        fs::write(two.path().join("README.md"), "words").unwrap();
        assert_eq!(key(one.path()).unwrap(), key(two.path()).unwrap(), "words do not matter");
        fs::write(two.path().join("a/go.mod"), "module a\n").unwrap();
        assert_ne!(key(one.path()).unwrap(), key(two.path()).unwrap(), "a changed file matters");
        fs::rename(one.path().join("a"), one.path().join("b")).unwrap();
        assert_ne!(key(one.path()).unwrap(), key(stack().path()).unwrap(), "a moved file matters");
    }

    #[test]
    fn old_builds_are_removed_and_other_things_are_not() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3"] {
            fs::create_dir_all(cache.path().join(name).join("bin")).unwrap();
        }
        fs::create_dir_all(cache.path().join("not-a-build")).unwrap();
        prune(cache.path(), 2).unwrap();
        let left = fs::read_dir(cache.path()).unwrap().count();
        assert_eq!(left, 3, "two builds and the directory that is none");
        assert!(cache.path().join("not-a-build").exists());
    }
}
