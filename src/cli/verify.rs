//! `phaselab verify`: does every exemplar lead to its trace?

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};

use super::interrupt::interrupted;
use crate::config::{Config, ProcessEnvironment, duration};
use crate::error::{EXIT_USAGE, chain};
use crate::names;
use crate::telemetry::resource::resource;
use crate::verify::gauge::RoundGauge;
use crate::verify::resolve::Patience;
use crate::verify::store::{Choice, Kind};
use crate::verify::{Range, Settings, round};

/// Exit code when nothing was found, or a backend could not be asked.
const EXIT_UNKNOWN: u8 = 2;

/// Asks Prometheus for every exemplar of the service and the trace store for each trace.
///
/// An exemplar resolves when its span is in its trace, carries the mark, and fits the exemplar's value and bucket.
/// Exits with 0 when all resolve, 1 when one dangles, 2 when there are none or a backend cannot be asked,
/// 64 for bad arguments.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Base address of Prometheus.
    #[arg(long, env = "PHASELAB_PROMETHEUS_URL", default_value = "http://127.0.0.1:9090", value_parser = http_url)]
    prometheus_url: String,

    /// The trace store; `auto` asks both addresses who is there.
    #[arg(long, env = "PHASELAB_TRACE_STORE", value_enum, default_value_t = StoreArg::Auto)]
    trace_store: StoreArg,

    /// Base address of Tempo.
    #[arg(long, env = "PHASELAB_TEMPO_URL", default_value = "http://127.0.0.1:3200", value_parser = http_url)]
    tempo_url: String,

    /// Base address of Jaeger's query service.
    #[arg(long, env = "PHASELAB_JAEGER_URL", default_value = "http://127.0.0.1:16686", value_parser = http_url)]
    jaeger_url: String,

    /// The service whose exemplars are checked: the label `job` of its series.
    #[arg(long, default_value = names::SERVICE_NAME, value_parser = label_value)]
    service: String,

    /// Label matchers instead of --service, for example `job="scraped",instance="127.0.0.1:8080"`.
    #[arg(long, conflicts_with = "service")]
    selector: Option<String>,

    /// How far back to look.
    #[arg(long, default_value = "15m", value_parser = positive)]
    since: Duration,

    /// Begin of the time range instead of --since: RFC 3339, or seconds since 1970.
    #[arg(long, requires = "end", conflicts_with = "since", value_parser = moment)]
    start: Option<SystemTime>,

    /// End of the time range that --start begins.
    #[arg(long, requires = "start", value_parser = moment)]
    end: Option<SystemTime>,

    /// How long the collector may wait before it decides on a trace.
    #[arg(long, env = "PHASELAB_DECISION_WAIT", default_value = "30s", value_parser = positive)]
    decision_wait: Duration,

    /// What the ways to the collector and to the store may take on top; younger exemplars are asked for again.
    #[arg(long, default_value = "10s", value_parser = any_duration)]
    margin: Duration,

    /// Longest time of one question to a backend.
    #[arg(long, default_value = "10s", value_parser = positive)]
    timeout: Duration,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,

    /// Repeat after this pause until interrupted, and export the gauge `verify.exemplars` as OTEL_* says.
    #[arg(long, value_name = "PAUSE", num_args = 0..=1, default_missing_value = "60s", value_parser = positive,
          conflicts_with_all = ["start", "end"])]
    watch: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreArg {
    Auto,
    Tempo,
    Jaeger,
}

/// Runs the command; prints the result to stdout and problems to stderr.
pub async fn run(args: VerifyArgs) -> ExitCode {
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("phaselab verify: {problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match args.watch {
        None => ExitCode::from(once(&settings, args.json, None).await),
        Some(pause) => watch(&settings, args.json, pause).await,
    }
}

/// One round, printed and shown on the gauge.
async fn once(settings: &Settings, json: bool, gauge: Option<&RoundGauge>) -> u8 {
    match round(settings).await {
        Ok(report) => {
            if let Some(gauge) = gauge {
                gauge.show(&report);
            }
            if json {
                println!("{}", serde_json::to_string(&report).expect("a report has text keys only"));
            } else {
                print!("{}", report.table());
            }
            report.exit_code()
        }
        Err(error) => {
            if let Some(gauge) = gauge {
                gauge.show_failure();
            }
            eprintln!("phaselab verify: {}", chain(&error));
            EXIT_UNKNOWN
        }
    }
}

/// Round after round until the process is asked to end, which is a good end whatever the rounds said.
async fn watch(settings: &Settings, json: bool, pause: Duration) -> ExitCode {
    let config = match Config::read(&ProcessEnvironment, &[]) {
        Ok((config, _)) => config,
        Err(faults) => {
            eprintln!("phaselab verify: {faults}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let gauge = match RoundGauge::start(&config, resource(&config.otel)) {
        Ok(gauge) => gauge,
        Err(error) => {
            eprintln!("phaselab verify: {}", chain(&error));
            return ExitCode::from(EXIT_UNKNOWN);
        }
    };
    let rounds = async {
        loop {
            once(settings, json, Some(&gauge)).await;
            tokio::time::sleep(pause).await;
        }
    };
    let code = tokio::select! {
        () = rounds => ExitCode::SUCCESS,
        asked = interrupted() => match asked {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("phaselab verify: cannot listen for signals: {error}");
                ExitCode::from(EXIT_UNKNOWN)
            }
        },
    };
    // The SDK waits for its last export in this call, and for its client's thread.
    let _ = tokio::task::spawn_blocking(move || gauge.stop()).await;
    code
}

impl VerifyArgs {
    fn settings(&self) -> Result<Settings, String> {
        let range = match (self.start, self.end) {
            (Some(start), Some(end)) if start >= end => {
                return Err("--start is not before --end: swap them".to_owned());
            }
            (Some(start), Some(end)) => Range::Between(start, end),
            _ => Range::Last(self.since),
        };
        let kind = match self.trace_store {
            StoreArg::Auto => None,
            StoreArg::Tempo => Some(Kind::Tempo),
            StoreArg::Jaeger => Some(Kind::Jaeger),
        };
        Ok(Settings {
            prometheus_url: self.prometheus_url.clone(),
            store: Choice { kind, tempo_url: self.tempo_url.clone(), jaeger_url: self.jaeger_url.clone() },
            selector: self.selector.clone().unwrap_or_else(|| format!("job=\"{}\"", self.service)),
            range,
            patience: Patience { decision_wait: self.decision_wait, margin: self.margin },
            timeout: self.timeout,
        })
    }
}

pub(super) fn http_url(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() && url.query().is_none() => Ok(text.to_owned()),
        _ => Err("is no http:// address without a query: write for example http://127.0.0.1:9090".to_owned()),
    }
}

pub(super) fn label_value(text: &str) -> Result<String, String> {
    match text.chars().any(|c| c == '"' || c == '\\' || c.is_control()) || text.is_empty() {
        true => Err("is empty or has quotes, backslashes or control characters: write --selector instead".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn any_duration(text: &str) -> Result<Duration, String> {
    let parsed = duration::parse(text).filter(|parsed| *parsed <= Duration::from_secs(86_400 * 30));
    parsed.ok_or_else(|| "is no duration with a unit of at most 720h: write for example 30s or 15m".to_owned())
}

pub(super) fn positive(text: &str) -> Result<Duration, String> {
    any_duration(text).and_then(|duration| match duration.is_zero() {
        true => Err("is not above zero: write for example 30s or 15m".to_owned()),
        false => Ok(duration),
    })
}

fn moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Ok(since) = Duration::try_from_secs_f64(seconds)
        && let Some(moment) = SystemTime::UNIX_EPOCH.checked_add(since)
    {
        return Ok(moment);
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "is no moment: write for example 2026-01-31T12:00:00Z or 1769860800".to_owned())
}

#[cfg(test)]
mod tests;
