//! `phaselab profile`: takes a profile from a running service, and prints it or keeps it.

mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, ValueEnum};

use super::interrupt::interrupted;
use super::private::{Failure, Private, read};
use crate::config::percent;
use crate::diagnostics::top::Top;
use crate::error::EXIT_FAILED;

/// What a CPU profile takes unless told otherwise: shorter than Go's, because one waits for it.
const CPU_SECONDS: f64 = 10.0;

/// How long the service may take besides the time of the profile.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Where CPU time is spent.
    Cpu,
    /// What memory is in use.
    Heap,
    /// What was ever allocated, or with --seconds what is being allocated.
    Allocs,
    /// What the tasks do.
    Goroutine,
    /// Polls, wakes and spans, as a file for ui.perfetto.dev.
    Trace,
}

/// Takes a profile from a running service and prints its top functions by span, or writes it to a file.
///
/// Exits with 0 when it is there, 1 when the service could not take it, 2 when the service could not be asked, 64 for bad
/// arguments.
#[derive(Debug, Clone, Args)]
pub struct ProfileArgs {
    /// What to take.
    #[arg(long, value_enum, default_value = "cpu")]
    kind: Kind,
    /// How long, up to 60; 10 for cpu unless given, and heap, allocs and goroutine then show what changed.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// CPU samples per second of CPU time, 1 to 999; 99 unless given.
    #[arg(long)]
    hz: Option<u32>,
    /// Only spans of this name, and spans inside requests of this name.
    #[arg(long, value_name = "NAME")]
    span: Option<String>,
    /// Only this trace, from the recorder.
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,
    /// Only this span, from the recorder.
    #[arg(long, value_name = "ID")]
    span_id: Option<String>,
    /// What the recorder has of the last 10m, 30s, …
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["seconds", "hz"])]
    since: Option<String>,
    #[command(flatten)]
    private: Private,
    /// Write it to this file instead: a flame graph if it ends in .svg, else what go tool pprof reads.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a profile in pprof's format begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Runs the command.
pub async fn run(args: ProfileArgs) -> ExitCode {
    let taken = tokio::select! {
        taken = args.take() => taken,
        // Leaving stops the profile in the service, too.
        _ = interrupted() => Err(Failure(EXIT_FAILED, "interrupted".to_owned())),
    };
    match taken {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, why)) => {
            eprintln!("phaselab profile: {why}");
            ExitCode::from(code)
        }
    }
}

impl ProfileArgs {
    async fn take(&self) -> Result<(), Failure> {
        let file = match (&self.output, self.kind) {
            (Some(file), _) => Some(file.clone()),
            // Nobody reads it in a terminal.
            (None, Kind::Trace) => Some(PathBuf::from("trace.pftrace")),
            (None, _) => None,
        };
        let url = self.address(file.as_deref())?;
        let limit = PATIENCE + Duration::try_from_secs_f64(self.seconds.unwrap_or(30.0)).unwrap_or_default();
        let body = self.private.ask(Method::GET, &url, limit).await?;
        if let Some(file) = file {
            let begins: &[u8] = match self.kind {
                // It has no mark of its own.
                Kind::Trace => b"",
                _ if is_svg(&file) => b"<",
                _ => GZIP,
            };
            if !body.starts_with(begins) {
                let why = format!("{url} answered something else than a profile: is it a diagnostics server?");
                return Err(Failure(EXIT_FAILED, why));
            }
            let written = std::fs::write(&file, &body);
            written.map_err(|error| Failure(EXIT_FAILED, format!("cannot write {}: {error}", file.display())))?;
            println!("{}: {} bytes", file.display(), body.len());
            if self.kind != Kind::Trace && !is_svg(&file) {
                println!("read it with: go tool pprof {}", file.display());
            }
            return Ok(());
        }
        let top: Top = read(&url, "a profile", &body)?;
        print!("{}", show::table(&top));
        Ok(())
    }

    /// What to ask for; the service checks the values.
    fn address(&self, file: Option<&Path>) -> Result<String, Failure> {
        let name = match self.kind {
            Kind::Cpu => "profile",
            Kind::Heap => "heap",
            Kind::Allocs => "allocs",
            Kind::Goroutine => "goroutine",
            Kind::Trace => "trace",
        };
        let recorded = self.since.is_some() || self.trace_id.is_some() || self.span_id.is_some();
        let seconds = self.seconds.or((self.kind == Kind::Cpu && !recorded).then_some(CPU_SECONDS));
        let format = match file {
            _ if self.kind == Kind::Trace => None,
            Some(file) => Some(if is_svg(file) { "svg" } else { "pprof" }),
            None => Some("json"),
        };
        let pairs = [
            ("seconds", seconds.map(|seconds| seconds.to_string())),
            ("hz", self.hz.map(|hz| hz.to_string())),
            ("span", self.span.clone()),
            ("trace_id", self.trace_id.clone()),
            ("span_id", self.span_id.clone()),
            ("since", self.since.clone()),
            ("format", format.map(str::to_owned)),
        ];
        let pairs =
            pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", percent::encode(value.as_deref()?))));
        self.private.address(&format!("/debug/pprof/{name}?{}", pairs.collect::<Vec<_>>().join("&")))
    }
}

fn is_svg(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

#[cfg(test)]
mod tests;
