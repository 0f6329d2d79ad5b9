//! What stands behind the Makefile: builds, starts, checks and stops the stack.
//!
//! [`config`] reads the environment. [`build`] makes programs (into the [`cache`]), [`programs`] finds
//! them. [`stack`] runs a set of them through [`process`], on [`ports`] of its own; the end-to-end tests
//! drive it directly. [`up`], [`logs`] and [`lint`] are the commands, [`compose`] the containers' way,
//! [`state`] what one command leaves for the next. [`e2e`] runs the tests, with foreign readers in [`python`] and [`pprof`] and a copy of the [`rules`] that does not wait long.

#![forbid(unsafe_code)]

pub mod build;
pub mod cache;
pub mod compose;
pub mod config;
pub mod e2e;
pub mod http;
pub mod lint;
pub mod logs;
pub mod ports;
pub mod pprof;
pub mod process;
pub mod programs;
pub mod progress;
pub mod python;
pub mod rules;
pub mod stack;
pub mod state;
pub mod up;

use std::path::{Path, PathBuf};

/// The repository that this crate was compiled in.
#[must_use]
pub fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where the stack of `up` keeps what it writes.
#[must_use]
pub fn stack_root(repo: &Path) -> PathBuf {
    repo.join("target").join("stack")
}
