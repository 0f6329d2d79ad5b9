//! AddressSanitizer over the profiler's tests: its handler and its walk read memory that nobody has given to them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Fills a stack of 64 KiB to the last: the frames of instrumented code do not fit.
const FULL_STACK: &str = "a_thread_with_a_small_stack_that_recursion_fills";

/// The profiler's own tests and those under harsh conditions, built into a target directory of their own. Without the
/// feature `heap`: the sanitizer replaces the allocator.
///
/// # Errors
/// If the toolchain comes without the sanitizer's runtime.
pub(super) fn address(repo: &Path) -> anyhow::Result<Command> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    find_runtime(repo, &target)?;
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--package", "span-profiler", "--lib", "--test", "it"])
        // Named, so that build scripts and macros are built without the sanitizer.
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(repo.join("target/asan"))
        .args(["--", "--skip", FULL_STACK])
        .current_dir(repo)
        // Tests leak what must live as long as the process, as statics do outside of tests.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        // The flag is not stable, though every toolchain brings the runtime.
        .env("RUSTC_BOOTSTRAP", "1")
        // In place of the flags in .cargo/config.toml, so those are here again.
        .env("RUSTFLAGS", "-Zsanitizer=address -Cforce-frame-pointers=yes");
    Ok(command)
}

/// Fails unless the toolchain's libraries have the runtime: some distributions leave it out.
fn find_runtime(repo: &Path, target: &str) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    let output = rustc.args(["--print", "target-libdir", "--target", target]).current_dir(repo).output();
    let output = output.context("cannot execute rustc")?;
    let dir = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let files = fs::read_dir(&dir).with_context(|| format!("cannot read {dir:?}"))?;
    // Its name has the channel in it.
    let is_runtime = |name: &str| name.starts_with("librustc-") && name.ends_with("_rt.asan.a");
    if !files.filter_map(Result::ok).any(|file| file.file_name().to_str().is_some_and(is_runtime)) {
        bail!("{dir} has no librustc-*_rt.asan.a: use a toolchain of rustup");
    }
    Ok(())
}
