//! `phaselab serve`: the service, from its configuration to its last report.
//!
//! The first SIGTERM or SIGINT stops gracefully: no new connections, requests in flight finish within
//! `PHASELAB_SHUTDOWN_TIMEOUT`, then spans and metrics are flushed, each within that time too. A second signal ends the
//! process at once with the exit code 128 + its number (130 or 143).

use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{ConfigArgs, check};
use crate::config::{self, Config, Faults, ProcessEnvironment, Rule};
use crate::error::{EXIT_FAILED, EXIT_USAGE, StartError, chain};
use crate::{http, telemetry};

/// Signals that come within this time of the first are taken for the same one.
const SAME_SIGNAL: Duration = Duration::from_millis(50);

/// Serves until a signal comes.
pub async fn run(args: ConfigArgs) -> ExitCode {
    let (config, ignored) = match Config::read(&ProcessEnvironment, &args.flags()) {
        Ok(read) => read,
        Err(faults) => {
            check::report(&faults);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let broken: Vec<_> = config::rules(&config).into_iter().filter(|rule| !rule.holds).collect();
    if broken.iter().any(|rule| rule.required) {
        for rule in broken.iter().filter(|rule| rule.required) {
            eprintln!("broken: {} ({}): {}", rule.text, rule.numbers, rule.fix);
        }
        return ExitCode::from(EXIT_USAGE);
    }
    match serve(&config, &ignored, &broken).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

async fn serve(config: &Config, ignored: &Faults, broken: &[Rule]) -> Result<(), StartError> {
    let listen = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let signals = Signals::new().map_err(|source| StartError::Setup { what: "the signal handlers", source })?;
    let (telemetry, guard) = telemetry::start(config)?;
    telemetry::logs::install(config, telemetry.tracer.clone())?;
    for fault in &ignored.0 {
        tracing::warn!(%fault, "a variable is ignored");
    }
    for Rule { text, numbers, fix, .. } in broken {
        tracing::warn!(
            rule = text,
            numbers,
            fix,
            "a timing rule is broken: exemplars may name traces that are not kept"
        );
    }
    tracing::info!(%address, url = format!("http://{address}/"), "listening");

    let served = http::run(listener, config, &telemetry, signals.first()).await;
    if served.cut > 0 {
        tracing::warn!(connections = served.cut, limit = ?config.shutdown_timeout, "connections were cut");
    }
    let limit = config.shutdown_timeout;
    let stopped = tokio::task::spawn_blocking(move || guard.stop(limit)).await;
    stopped.expect("stopping the telemetry does not panic").log();
    Ok(())
}

/// The signals that stop the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves with the first signal; the second one ends the process.
    async fn first(mut self) {
        let (first, came) = oneshot::channel();
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::info!(signal, "stopping; a second signal ends at once");
            // The receiver waits as long as the service runs.
            let _ = first.send(());
            // What comes at once is the same signal: some supervisors send it to the process and to its group.
            let same = tokio::time::sleep(SAME_SIGNAL);
            tokio::pin!(same);
            while tokio::select! { _ = self.next() => true, () = &mut same => false } {}
            std::process::exit(128 + self.next().await);
        });
        // The task holds the sender until the signal came.
        let _ = came.await;
    }

    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        kind.as_raw_value()
    }
}
