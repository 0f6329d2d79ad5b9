//! What telemetry costs per request: the release build of the service, on loopback, under a closed loop of 16
//! connections, five ways: telemetry off, the SDK alone, the SDK with exemplars, the same with the diagnostics server and
//! its recorder, and with the console at which nobody looks. Every trace is sampled and exported
//! over gRPC to a real collector, which runs on the same machine and throws everything away.
//!
//! `make stack` once, for the collector, then `cargo bench -p xtask --bench requests -- --rounds 5 --seconds 6`
//!
//! A measurement is one process: started, warmed up, measured, stopped. Within a round the modes follow each other, in
//! an order that rotates from round to round; each is compared with the off mode of its own round, so that what slows
//! the machine down for a while slows both. Medians, with quartiles in brackets. CPU time is the service's own, user and
//! system, exports included. Spans that did not arrive at the collector are reported, as a cost of exports that do not
//! happen would be no cost.

mod client;
mod process;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use process::{Collector, Service};
use report::{Measured, Report};
use xtask::config::{ProcessEnv, Settings};
use xtask::progress::Progress;

/// Connections, each with one request under way.
const CONNECTIONS: usize = 16;

/// Dropped from each measurement: connections, caches, the first export.
const WARM_UP: Duration = Duration::from_secs(2);

/// A route and the spans of one request to it.
#[derive(Debug)]
pub(crate) struct Route {
    path: &'static str,
    spans: u64,
}

const ROUTES: [Route; 2] = [
    Route { path: "/api/work?db_ms=0&loop_iterations=20000&items=50", spans: 4 },
    Route { path: "/api/null", spans: 1 },
];

/// How much telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// None at all.
    Off,
    /// Spans and metrics.
    Sdk,
    /// Spans and metrics with exemplars.
    Exemplars,
    /// The same with the diagnostics server, its recorder on.
    Diagnostics,
    /// The same with the console, which fills while nobody looks.
    Console,
}

impl Mode {
    const ALL: [Self; 5] = [Self::Off, Self::Sdk, Self::Exemplars, Self::Diagnostics, Self::Console];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Sdk => "SDK",
            Self::Exemplars => "SDK + exemplars",
            Self::Diagnostics => "+ diagnostics",
            Self::Console => "+ console",
        }
    }

    /// The variables that set it.
    fn variables(self) -> &'static [(&'static str, &'static str)] {
        const NO_DIAGNOSTICS: (&str, &str) = ("PHASELAB_DIAGNOSTICS_LISTEN", "off");
        const DIAGNOSTICS: (&str, &str) = ("PHASELAB_DIAGNOSTICS_LISTEN", "127.0.0.1:0");
        match self {
            Self::Off => &[NO_DIAGNOSTICS, ("OTEL_SDK_DISABLED", "true")],
            Self::Sdk => &[NO_DIAGNOSTICS, ("PHASELAB_EXEMPLARS", "off")],
            Self::Exemplars => &[NO_DIAGNOSTICS],
            Self::Diagnostics => &[DIAGNOSTICS, ("PHASELAB_CONSOLE_BYTES", "0")],
            Self::Console => &[DIAGNOSTICS],
        }
    }
}

#[derive(Debug, Parser)]
struct Args {
    /// Measurements of each mode and route.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of one measurement, without its warm-up of 2 s.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Only routes whose path contains this.
    #[arg(long, default_value = "")]
    route: String,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        println!("this takes minutes and is run by `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let files = tempfile::tempdir().context("cannot make a folder for logs and the database")?;
    let mut settings = Settings::from_env(&ProcessEnv).map_err(|faults| anyhow::anyhow!(faults.join("\n")))?;
    // What is measured is what `make up` runs, not the build of a test with other features; PHASELAB_BIN names another.
    settings.release = true;
    let program = xtask::build::service::build(&xtask::repo(), &settings, &mut Progress::default())?;
    let collector = Collector::start(files.path(), &settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{} rounds of {} s, {CONNECTIONS} connections", args.rounds, args.seconds);
    for route in ROUTES.iter().filter(|route| route.path.contains(&args.route)) {
        let mut report = Report::default();
        for round in 0..args.rounds as usize {
            for turn in 0..Mode::ALL.len() {
                let mode = Mode::ALL[(round + turn) % Mode::ALL.len()];
                let arrived_before = collector.spans()?;
                let service = Service::start(&program, files.path(), &collector, mode)?;
                let length = Duration::from_secs(args.seconds.into());
                let load = client::load(service.address(), route.path, WARM_UP, length, || service.cpu());
                let load = runtime.block_on(load).with_context(|| format!("{}, {}", route.path, mode.name()))?;
                let stopped = service.stop()?;
                let made = if mode == Mode::Off { 0 } else { load.answered * route.spans };
                let arrived = collector.spans()? - arrived_before;
                report.add(mode, Measured { load, made, arrived, stopped });
            }
        }
        report.print(route.path);
    }
    Ok(())
}
