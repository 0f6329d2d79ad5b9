//! `phaselab profile`: takes a profile from a running service, and prints it or keeps it.

mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Uri;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::interrupt::interrupted;
use crate::config::diagnostics::{TOKEN_FILE, client_token};
use crate::config::{Flag, ProcessEnvironment, percent};
use crate::diagnostics::top::Top;
use crate::error::{EXIT_FAILED, EXIT_USAGE, chain};

/// Nothing could be asked.
const EXIT_UNREACHABLE: u8 = 2;

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
    /// Base address of the diagnostics server.
    #[arg(long, env = "PHASELAB_DIAGNOSTICS_URL", default_value = "http://127.0.0.1:6060")]
    url: String,
    /// File with the token, where the server asks for one [PHASELAB_DIAGNOSTICS_TOKEN_FILE, or the token itself in
    /// PHASELAB_DIAGNOSTICS_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// Write it to this file instead: a flame graph if it ends in .svg, else what go tool pprof reads.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How a profile in pprof's format begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Why there is no profile, and the exit code.
struct Failure(u8, String);

/// A refusal of the service, as far as it is shown.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

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
        let body = self.ask(&url).await?;
        if let Some(file) = file {
            let begins: &[u8] = match self.kind {
                // It has no mark of its own.
                Kind::Trace => b"",
                _ if is_svg(&file) => b"<",
                _ => GZIP,
            };
            if !body.starts_with(begins) {
                return Err(Failure(EXIT_FAILED, no_profile(&url, "it does not begin as one")));
            }
            let written = std::fs::write(&file, &body);
            written.map_err(|error| Failure(EXIT_FAILED, format!("cannot write {}: {error}", file.display())))?;
            println!("{}: {} bytes", file.display(), body.len());
            if self.kind != Kind::Trace && !is_svg(&file) {
                println!("read it with: go tool pprof {}", file.display());
            }
            return Ok(());
        }
        let top: Top = serde_json::from_slice(&body)
            .map_err(|error| Failure(EXIT_FAILED, no_profile(&url, &error.to_string())))?;
        print!("{}", show::table(&top));
        Ok(())
    }

    /// What to ask for; the service checks the values.
    fn address(&self, file: Option<&Path>) -> Result<String, Failure> {
        let usage = |why: String| Failure(EXIT_USAGE, why);
        let base = self.url.trim_end_matches('/');
        let uri = base.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.query().is_none());
        if uri.is_none() {
            let why = format!("--url={base:?} is no http address: write for example http://127.0.0.1:6060");
            return Err(usage(why));
        }
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
        Ok(format!("{base}/debug/pprof/{name}?{}", pairs.collect::<Vec<_>>().join("&")))
    }

    async fn ask(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let unreachable = |error: reqwest::Error| {
            let why = format!(
                "cannot ask {}: {}; start phaselab serve, or name another address with --url",
                self.url,
                chain(&error.without_url())
            );
            Failure(EXIT_UNREACHABLE, why)
        };
        let limit = PATIENCE + Duration::try_from_secs_f64(self.seconds.unwrap_or(30.0)).unwrap_or_default();
        let client = reqwest::Client::builder().timeout(limit).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let mut request = client.build().map_err(unreachable)?.get(url);
        let file = self.token_file.clone().map(|value| Flag { variable: TOKEN_FILE, flag: "--token-file", value });
        let token = client_token(&ProcessEnvironment, file);
        if let Some(token) = token.map_err(|faults| Failure(EXIT_USAGE, faults.to_string()))? {
            request = request.bearer_auth(token.reveal());
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body.into());
        }
        let detail = serde_json::from_slice(&body).map(|refusal: Refusal| refusal.detail);
        let detail = detail.unwrap_or_else(|_| format!("{url} is not served there: is it a diagnostics server?"));
        let code = if status == 400 { EXIT_USAGE } else { EXIT_FAILED };
        let how = if status == 401 { "; here: --token-file <file>" } else { "" };
        Err(Failure(code, format!("{} {detail}{how}", status.as_u16())))
    }
}

fn no_profile(url: &str, why: &str) -> String {
    format!("{url} answered something else than a profile ({why}): is it a diagnostics server?")
}

fn is_svg(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

#[cfg(test)]
mod tests;
