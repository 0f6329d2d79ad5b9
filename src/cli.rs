//! The command line: one file per subcommand.

mod amount;
pub mod check;
pub mod health;
mod interrupt;
pub mod load;
mod private;
pub mod profile;
pub mod ramp;
pub mod scenario;
mod screen;
pub mod serve;
pub mod snapshot;
pub mod verify;
pub mod worker;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Flag;
use crate::error::EXIT_USAGE;

/// An OpenTelemetry-first performance lab.
///
/// Exit codes: 0 good, 1 a check failed or the service could not start, 2 nothing could be asked or found,
/// 64 bad configuration or arguments.
#[derive(Debug, Parser)]
#[command(name = "phaselab", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ConfigArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API; the default command.
    Serve(ConfigArgs),
    /// Validate the configuration and the timing rules without starting anything.
    Check(check::CheckArgs),
    /// Ask Prometheus whether the service is healthy.
    Health(health::HealthArgs),
    /// Send requests at a constant rate or in steps, or have bots play the game.
    Load(load::LoadArgs),
    /// Take a profile from the running service.
    Profile(profile::ProfileArgs),
    /// Add workers and take them away again, once, and record an execution trace.
    Ramp(ramp::RampArgs),
    /// List, start and stop the scenarios of the running service.
    Scenario(scenario::ScenarioArgs),
    /// Print the metrics of a running service, without Prometheus.
    Snapshot(snapshot::SnapshotArgs),
    /// Work on tasks, with mistakes to be found or without.
    Worker(worker::WorkerArgs),
    /// Ask the backends whether every exemplar leads to its trace.
    Verify(verify::VerifyArgs),
}

/// Flags that win over the variables of the same name.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration (every variable is listed by: phaselab check --print)")]
pub struct ConfigArgs {
    /// Address of the API [PHASELAB_LISTEN, default 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Database file, or :memory: [PHASELAB_DATABASE]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
    /// How long a request may take [PHASELAB_REQUEST_TIMEOUT, default 20s]
    #[arg(long, value_name = "DURATION")]
    request_timeout: Option<String>,
    /// How long requests may take to finish once the service stops, and after them the last telemetry
    /// [PHASELAB_SHUTDOWN_TIMEOUT, default 10s]
    #[arg(long, value_name = "DURATION")]
    shutdown_timeout: Option<String>,
    /// API requests served at once [PHASELAB_MAX_CONCURRENT_REQUESTS, default 128]
    #[arg(long, value_name = "COUNT")]
    max_concurrent_requests: Option<String>,
    /// WebSocket connections at once [PHASELAB_MAX_WEBSOCKETS, default 1024]
    #[arg(long, value_name = "COUNT")]
    max_websockets: Option<String>,
    /// Largest request body [PHASELAB_MAX_BODY_BYTES, default 65536]
    #[arg(long, value_name = "BYTES")]
    max_body_bytes: Option<String>,
    /// Log lines to write, as a level or target=level pairs [PHASELAB_LOG, default info]
    #[arg(long, value_name = "DIRECTIVES")]
    log: Option<String>,
    /// Whether histograms take exemplars, on or off [PHASELAB_EXEMPLARS, default on]
    #[arg(long, value_name = "ON|OFF")]
    exemplars: Option<String>,
    /// The collector's decision_wait [PHASELAB_DECISION_WAIT, default 30s]
    #[arg(long, value_name = "DURATION")]
    decision_wait: Option<String>,
    /// Address of the diagnostics server, or off [PHASELAB_DIAGNOSTICS_LISTEN, default 127.0.0.1:6060]
    #[arg(long, value_name = "ADDRESS|off")]
    diagnostics_listen: Option<String>,
    /// File with the token that its clients must show [PHASELAB_DIAGNOSTICS_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    diagnostics_token_file: Option<String>,
    /// loopback-published lets private addresses in without a token [PHASELAB_DIAGNOSTICS_OPEN, default off]
    #[arg(long, value_name = "HOW")]
    diagnostics_open: Option<String>,
    /// Further host names under which it may be asked [PHASELAB_DIAGNOSTICS_HOSTS]
    #[arg(long, value_name = "NAMES")]
    diagnostics_hosts: Option<String>,
    /// Processes to ask for traces that this one lacks, or none [PHASELAB_DIAGNOSTICS_PEERS, default the workers']
    #[arg(long, value_name = "URLS")]
    diagnostics_peers: Option<String>,
    /// CPU samples per second that are always taken, or 0 [PHASELAB_PROFILER_HZ, default 99]
    #[arg(long, value_name = "HZ")]
    profiler_hz: Option<String>,
    /// How long they are kept [PHASELAB_PROFILER_WINDOW, default 10m]
    #[arg(long, value_name = "DURATION")]
    profiler_window: Option<String>,
    /// Memory for them [PHASELAB_PROFILER_BYTES, default 16777216]
    #[arg(long, value_name = "BYTES")]
    profiler_bytes: Option<String>,
    /// Memory for what the console shows, 0 turns it off [PHASELAB_CONSOLE_BYTES, default 33554432]
    #[arg(long, value_name = "BYTES")]
    console_bytes: Option<String>,
    /// Where OTLP goes [OTEL_EXPORTER_OTLP_ENDPOINT, default http://localhost:4318]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// How OTLP is spoken, grpc or http/protobuf [OTEL_EXPORTER_OTLP_PROTOCOL, default http/protobuf]
    #[arg(long, value_name = "PROTOCOL")]
    otlp_protocol: Option<String>,
}

impl ConfigArgs {
    /// The flags that were given.
    fn flags(self) -> Vec<Flag> {
        [
            ("PHASELAB_LISTEN", "--listen", self.listen),
            ("PHASELAB_DATABASE", "--database", self.database),
            ("PHASELAB_REQUEST_TIMEOUT", "--request-timeout", self.request_timeout),
            ("PHASELAB_SHUTDOWN_TIMEOUT", "--shutdown-timeout", self.shutdown_timeout),
            ("PHASELAB_MAX_CONCURRENT_REQUESTS", "--max-concurrent-requests", self.max_concurrent_requests),
            ("PHASELAB_MAX_WEBSOCKETS", "--max-websockets", self.max_websockets),
            ("PHASELAB_MAX_BODY_BYTES", "--max-body-bytes", self.max_body_bytes),
            ("PHASELAB_LOG", "--log", self.log),
            ("PHASELAB_EXEMPLARS", "--exemplars", self.exemplars),
            ("PHASELAB_DECISION_WAIT", "--decision-wait", self.decision_wait),
            ("PHASELAB_DIAGNOSTICS_LISTEN", "--diagnostics-listen", self.diagnostics_listen),
            ("PHASELAB_DIAGNOSTICS_TOKEN_FILE", "--diagnostics-token-file", self.diagnostics_token_file),
            ("PHASELAB_DIAGNOSTICS_OPEN", "--diagnostics-open", self.diagnostics_open),
            ("PHASELAB_DIAGNOSTICS_HOSTS", "--diagnostics-hosts", self.diagnostics_hosts),
            ("PHASELAB_DIAGNOSTICS_PEERS", "--diagnostics-peers", self.diagnostics_peers),
            ("PHASELAB_PROFILER_HZ", "--profiler-hz", self.profiler_hz),
            ("PHASELAB_PROFILER_WINDOW", "--profiler-window", self.profiler_window),
            ("PHASELAB_PROFILER_BYTES", "--profiler-bytes", self.profiler_bytes),
            ("PHASELAB_CONSOLE_BYTES", "--console-bytes", self.console_bytes),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "--otlp-endpoint", self.otlp_endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "--otlp-protocol", self.otlp_protocol),
        ]
        .into_iter()
        .filter_map(|(variable, flag, value)| Some(Flag { variable, flag, value: value? }))
        .collect()
    }
}

/// Parses the arguments of this process; help and version are answered here.
///
/// # Errors
/// The exit code to end with.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Without a terminal to print to there is nothing better to do.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    })
}

/// Runs the chosen command.
pub async fn run(cli: Cli) -> ExitCode {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(args).await,
        Command::Check(args) => check::run(args),
        Command::Health(args) => health::run(args).await,
        Command::Load(args) => load::run(args).await,
        Command::Profile(args) => profile::run(args).await,
        Command::Ramp(args) => ramp::run(args).await,
        Command::Scenario(args) => scenario::run(args).await,
        Command::Snapshot(args) => snapshot::run(args).await,
        Command::Worker(args) => worker::run(args).await,
        Command::Verify(args) => verify::run(args).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_takes_its_flags_either_way() {
        for arguments in [&["phaselab", "--log", "warn"][..], &["phaselab", "serve", "--log", "warn"]] {
            let cli = Cli::try_parse_from(arguments).unwrap();
            let Command::Serve(args) = cli.command.unwrap_or(Command::Serve(cli.serve)) else { panic!() };
            let flag = Flag { variable: "PHASELAB_LOG", flag: "--log", value: "warn".to_owned() };
            assert_eq!(args.flags(), [flag]);
        }
    }
}
