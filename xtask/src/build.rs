//! `stack`: builds the collector, Prometheus with promtool, Alertmanager with amtool, Jaeger and Compose out of the Go module proxy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::cache;
use crate::progress::{Progress, human};

mod go;
pub mod service;

/// Flags of every build; part of the cache's key. Paths and the state of the working copy stay out
/// of the programs, and so do symbol tables: they would double the size.
pub const FLAGS: [&str; 3] = ["-trimpath", "-buildvcs=false", "-s -w"];

/// How many builds the cache keeps: this one and that of the branch one came from.
const KEPT_BUILDS: usize = 2;

/// A Go module below `stack/` and what comes out of it.
struct Module {
    name: &'static str,
    /// Import paths of main packages, each with the file name of the program.
    programs: &'static [(&'static str, &'static str)],
    version: Option<Version>,
}

/// The version that a program tells when asked; a build outside its own repository does not know it.
struct Version {
    /// The required module that the version is taken from.
    dependency: &'static str,
    /// The linker's name for the variable that holds it.
    variable: &'static str,
    /// From the module's version to what the release is called.
    release: fn(&str) -> String,
}

const BUILDER: Module =
    Module { name: "builder", programs: &[("go.opentelemetry.io/collector/cmd/builder", "builder")], version: None };
const COLLECTOR: Module = Module { name: "otelcol", programs: &[(".", "otelcol")], version: None };
const PROMETHEUS: Module = Module {
    name: "prometheus",
    programs: &[
        ("github.com/prometheus/prometheus/cmd/prometheus", "prometheus"),
        ("github.com/prometheus/prometheus/cmd/promtool", "promtool"),
    ],
    version: Some(Version {
        dependency: "github.com/prometheus/prometheus",
        variable: "github.com/prometheus/common/version.Version",
        release: go::prometheus_release,
    }),
};
const ALERTMANAGER: Module = Module {
    name: "alertmanager",
    programs: &[
        ("github.com/prometheus/alertmanager/cmd/alertmanager", "alertmanager"),
        ("github.com/prometheus/alertmanager/cmd/amtool", "amtool"),
    ],
    version: Some(Version {
        dependency: "github.com/prometheus/alertmanager",
        variable: "github.com/prometheus/common/version.Version",
        release: |version| version.trim_start_matches('v').to_owned(),
    }),
};
const JAEGER: Module = Module {
    name: "jaeger",
    programs: &[("github.com/jaegertracing/jaeger/cmd/all-in-one", "jaeger")],
    version: Some(Version {
        dependency: "github.com/jaegertracing/jaeger",
        variable: "github.com/jaegertracing/jaeger/pkg/version.latestVersion",
        release: str::to_owned,
    }),
};

const COMPOSE: Module = Module {
    name: "compose",
    programs: &[("github.com/docker/compose/v2/cmd", "docker-compose")],
    version: Some(Version {
        dependency: "github.com/docker/compose/v2",
        variable: "github.com/docker/compose/v2/internal.Version",
        release: str::to_owned,
    }),
};

/// Builds what is not in the cache yet and returns the directory of the programs.
///
/// # Errors
/// If Go is missing or too old, or a build fails; with what to do about it.
pub fn stack(stack_dir: &Path, cache_dir: &Path, progress: &mut Progress) -> anyhow::Result<PathBuf> {
    let bin = cache::bin_dir(cache_dir, stack_dir)?;
    let modules = [COLLECTOR, PROMETHEUS, ALERTMANAGER, JAEGER, COMPOSE];
    if modules.iter().all(|module| module.is_built(&bin)) {
        progress.say(format!("nothing to build: everything is in {}", bin.display()));
        return Ok(bin);
    }
    let start = Instant::now();
    fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    // Two builds into one directory would only be slow, but they would be very slow.
    let lock = File::create(bin.with_file_name("lock"))?;
    if lock.try_lock().is_err() {
        progress.say("another build of the same programs is under way: waiting for it");
        lock.lock()?;
    }
    progress.say(format!("building with {} into {}", go::require(stack_dir)?, bin.display()));
    progress.say("(8 to 10 minutes the first time on 2 cores; later builds reuse Go's own cache)");
    for module in &modules {
        if module.is_built(&bin) {
            progress.say(format!("{}: already built", module.name));
        } else if module.name == COLLECTOR.name {
            let source = generate_collector(stack_dir, &bin, progress)?;
            module.build(&source, stack_dir, &bin, progress)?;
        } else {
            module.build(&stack_dir.join(module.name), stack_dir, &bin, progress)?;
        }
    }
    cache::prune(cache_dir, KEPT_BUILDS)?;
    progress.say(format!("built in {}: {}", human(start.elapsed()), bin.display()));
    Ok(bin)
}

/// Brings every `go.mod` and `go.sum` below `stack/` in line with the pinned versions.
///
/// # Errors
/// If Go is missing or the proxy does not serve a pinned version.
pub fn tidy(stack_dir: &Path, cache_dir: &Path, progress: &mut Progress) -> anyhow::Result<()> {
    go::require(stack_dir)?;
    for module in [BUILDER, PROMETHEUS, ALERTMANAGER, JAEGER, COMPOSE] {
        let mut command = Command::new("go");
        command.args(["mod", "tidy"]).current_dir(stack_dir.join(module.name));
        go::run(command, &format!("{}: go mod tidy", module.name), progress)?;
    }
    let bin = cache::bin_dir(cache_dir, stack_dir)?;
    fs::create_dir_all(&bin)?;
    let source = generate(stack_dir, &bin, &[], progress)?;
    for file in ["go.mod", "go.sum"] {
        fs::copy(source.join(file), stack_dir.join(COLLECTOR.name).join(file))?;
    }
    progress.say("stack/otelcol: go.mod and go.sum follow manifest.yaml again");
    Ok(())
}

/// Writes the collector's source. Its dependencies come from the committed `go.mod` and `go.sum`,
/// not from what the builder would resolve today.
fn generate_collector(stack_dir: &Path, bin: &Path, progress: &mut Progress) -> anyhow::Result<PathBuf> {
    let source = generate(stack_dir, bin, &["--skip-get-modules"], progress)?;
    for file in ["go.mod", "go.sum"] {
        let committed = stack_dir.join(COLLECTOR.name).join(file);
        fs::copy(&committed, source.join(file)).with_context(|| format!("cannot copy {}", committed.display()))?;
    }
    Ok(source)
}

fn generate(stack_dir: &Path, bin: &Path, flags: &[&str], progress: &mut Progress) -> anyhow::Result<PathBuf> {
    let tools = bin.with_file_name("tools");
    fs::create_dir_all(&tools)?;
    if !BUILDER.is_built(&tools) {
        BUILDER.build(&stack_dir.join(BUILDER.name), stack_dir, &tools, progress)?;
    }
    let source = bin.with_file_name("otelcol-source");
    fs::create_dir_all(&source)?;
    let manifest_path = stack_dir.join(COLLECTOR.name).join("manifest.yaml");
    let manifest =
        fs::read_to_string(&manifest_path).with_context(|| format!("cannot read {}", manifest_path.display()))?;
    let placed = manifest.replacen("\ndist:\n", &format!("\ndist:\n  output_path: {}\n", source.display()), 1);
    if placed == manifest {
        bail!("{} has no line `dist:` to put the output path under", manifest_path.display());
    }
    let placed_path = source.join("manifest.yaml");
    fs::write(&placed_path, placed)?;
    let mut command = Command::new(tools.join("builder"));
    command.arg("--config").arg(&placed_path).arg("--skip-compilation").args(flags).current_dir(&source);
    go::run(command, "otelcol: generating its source", progress)?;
    Ok(source)
}

impl Module {
    fn is_built(&self, bin: &Path) -> bool {
        self.programs.iter().all(|(_, file)| bin.join(file).is_file())
    }

    fn build(&self, source: &Path, stack_dir: &Path, bin: &Path, progress: &mut Progress) -> anyhow::Result<()> {
        let [trim, vcs, strip] = FLAGS;
        let mut linker = strip.to_owned();
        if let Some(Version { dependency, variable, release }) = self.version {
            let version = go::version_of(&stack_dir.join(self.name).join("go.mod"), dependency)?;
            linker += &format!(" -X {variable}={}", release(&version));
        }
        for (package, file) in self.programs {
            let partial = bin.join(format!(".{file}.partial"));
            // A build takes both cores for minutes; whoever works meanwhile goes first.
            let mut command = Command::new("nice");
            command
                .args(["-n", "5", "go", "build", "-v", trim, vcs])
                .arg(format!("-ldflags={linker}"))
                .arg("-o")
                .arg(&partial)
                .arg(package)
                .env("CGO_ENABLED", "0")
                .current_dir(source);
            go::run(command, file, progress)?;
            // Renamed when complete, so that an interrupted build is not taken for a program.
            fs::rename(&partial, bin.join(file))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
