//! `phaselab serve`: the service, from its configuration to its last report.
//!
//! The first SIGTERM or SIGINT stops gracefully: no new connections, requests in flight finish within
//! `PHASELAB_SHUTDOWN_TIMEOUT`, then spans and metrics are flushed, both within that time again. A second signal ends the
//! process at once with the exit code 128 + its number (130 or 143).

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use span_profiler::tasks::spawn_named;
use span_profiler::{Profiler, ProfilerGuard};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{ConfigArgs, check};
use crate::config::{self, Config, Faults, Flag, ProcessEnvironment, ProfilerSettings, Role, Rule};
use crate::console::Console;
use crate::diagnostics::{Diagnostics, Sources};
use crate::error::{EXIT_FAILED, EXIT_USAGE, StartError, chain};
use crate::http::{self, Served};
use crate::telemetry::{self, Guard, Tap, Telemetry};
use crate::workload::Workload;
use crate::workload::scenarios::{Lab, Scenarios};

/// Signals that come within this time of the first are taken for the same one.
const SAME_SIGNAL: Duration = Duration::from_millis(50);

/// Serves until a signal comes.
pub async fn run(args: ConfigArgs) -> ExitCode {
    configured(Role::Service, &args.flags(), serve).await
}

/// Runs `body` with the configuration, unless that or a rule which the process itself relies on is broken.
pub(super) async fn configured(
    role: Role,
    flags: &[Flag],
    body: impl AsyncFnOnce(&Config, &Faults, &[Rule]) -> Result<(), StartError>,
) -> ExitCode {
    let (config, ignored) = match Config::read_as(role, &ProcessEnvironment, flags) {
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
    match body(&config, &ignored, &broken).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

async fn serve(config: &Config, ignored: &Faults, broken: &[Rule]) -> Result<(), StartError> {
    let console = Console::new(config);
    let Started { listener, address, signals, telemetry, guard, private, profiling: _profiling } =
        Started::new(config, ignored, broken, console.as_ref().map(Console::tap)).await?;
    let filing = console.as_ref().map(|console| console.start(&telemetry)).transpose();
    let filing = filing.map_err(|source| StartError::Setup { what: "the console's thread", source })?;
    let workload = Workload::new(config, &telemetry.instruments);
    let lab = Lab::new(workload.clone(), &telemetry.instruments);
    let scenarios = Scenarios::new(lab, &telemetry.instruments, Handle::current());
    let extend = |sources: Sources| {
        let sources = sources.with_scenarios(scenarios.clone());
        let pages = console.as_ref().map(|console| console.router(sources.clone()));
        pages.into_iter().fold(sources, Sources::with_console)
    };
    let diagnostics = private.map(|private| private.start(config, &telemetry, extend)).transpose()?;
    tracing::info!(%address, url = format!("http://{address}/"), "listening");

    let stopping = async {
        signals.first().await;
        // At once, because requests that are to finish may wait for what a scenario holds.
        scenarios.close();
    };
    let served = http::run(listener, config, &telemetry, workload, stopping).await;
    scenarios.closed().await;
    warn_cut(served, config);
    stop(diagnostics, guard, config.shutdown_timeout).await;
    drop(filing);
    Ok(())
}

/// What every process needs before its own work.
pub(super) struct Started<'a> {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) signals: Signals,
    pub(super) telemetry: Telemetry,
    pub(super) guard: Guard,
    pub(super) private: Option<Private<'a>>,
    /// To be dropped last, when nobody asks any more.
    pub(super) profiling: Option<ProfilerGuard>,
}

impl<'a> Started<'a> {
    /// Binds both addresses, then starts telemetry and profiler, and says what of the configuration does not hold.
    pub(super) async fn new(
        config: &'a Config,
        ignored: &Faults,
        broken: &[Rule],
        tap: Option<Arc<dyn Tap>>,
    ) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { variable: "PHASELAB_LISTEN", address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let private = config.diagnostics.as_ref().map(|to| Ok((bind_private(to.listen)?, to))).transpose()?;
        let signals = Signals::new().map_err(|source| StartError::Setup { what: "the signal handlers", source })?;
        let (telemetry, guard) = telemetry::start_with(config, tap)?;
        telemetry::logs::install(config, telemetry.tracer.clone())?;
        raise_descriptor_limit();
        let (private, profiling) = private
            .map(|(listener, to)| {
                let (profiler, profiling) = start_profiler(&config.profiler);
                (Private { listener, to, profiler }, profiling)
            })
            .unzip();
        warn(ignored, broken);
        Ok(Self { listener, address, signals, telemetry, guard, private, profiling: profiling.flatten() })
    }
}

/// Takes as many descriptors as the system gives, as Go's runtime does: the usual soft limit of 1,024 is there for programs
/// that use `select`, and fewer than the connections that are let in.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        // The service works with fewer; `process.unix.file_descriptor.limit` shows how many there are.
        tracing::warn!(?current, ?maximum, "the limit of open descriptors could not be raised");
    }
}

/// What the diagnostics are started with.
pub(super) struct Private<'a> {
    listener: std::net::TcpListener,
    to: &'a config::Diagnostics,
    profiler: Result<Profiler, Arc<str>>,
}

impl Private<'_> {
    /// Starts them, with what `extend` adds to the profiles.
    pub(super) fn start(
        self,
        config: &Config,
        telemetry: &Telemetry,
        extend: impl FnOnce(Sources) -> Sources,
    ) -> Result<Diagnostics, StartError> {
        let failed = |source| StartError::Setup { what: "the diagnostics server", source };
        let address = self.listener.local_addr().map_err(failed)?;
        let sources = extend(Sources::new(self.profiler));
        let path = if sources.console().is_some() { "/console/" } else { "/debug/pprof/" };
        let diagnostics = Diagnostics::start(self.listener, config, self.to, telemetry, sources).map_err(failed)?;
        tracing::info!(%address, url = format!("http://{address}{path}"), "diagnostics are listening");
        Ok(diagnostics)
    }
}

/// Says what of the configuration does not hold.
fn warn(ignored: &Faults, broken: &[Rule]) {
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
}

/// Says whether clients were turned away in the midst of an answer.
pub(super) fn warn_cut(served: Served, config: &Config) {
    if served.cut > 0 {
        tracing::warn!(connections = served.cut, limit = ?config.shutdown_timeout, "connections were cut");
    }
}

/// Stops what is around the work, within the limit. The diagnostics go no sooner, so that a service that does not stop can
/// be looked at.
pub(super) async fn stop(diagnostics: Option<Diagnostics>, guard: Guard, limit: Duration) {
    let diagnostics = tokio::task::spawn_blocking(|| diagnostics.map(Diagnostics::stop).transpose());
    let telemetry = tokio::task::spawn_blocking(move || guard.stop(limit));
    if let Err(error) = diagnostics.await.expect("stopping the diagnostics does not panic") {
        tracing::warn!(%error, "the diagnostics have failed");
    }
    telemetry.await.expect("stopping the telemetry does not panic").log();
}

/// Bound before anything starts, so that a taken port is known at once.
fn bind_private(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    std::net::TcpListener::bind(address).map_err(|source| StartError::Listen {
        variable: "PHASELAB_DIAGNOSTICS_LISTEN (or to off)",
        address,
        source,
    })
}

/// Starts the profiler, or says why there is none: the service does its work all the same.
fn start_profiler(settings: &ProfilerSettings) -> (Result<Profiler, Arc<str>>, Option<ProfilerGuard>) {
    let builder = Profiler::builder()
        .with_recorder_hz(settings.hz)
        .with_recorder_window(settings.window)
        .with_recorder_bytes(settings.bytes);
    match builder.start() {
        Ok((profiler, guard)) => (Ok(profiler), Some(guard)),
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(error, "there are no CPU profiles");
            (Err(error.into()), None)
        }
    }
}

/// The signals that stop the service.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves with the first signal; the second one ends the process.
    pub(super) async fn first(mut self) {
        let (first, came) = oneshot::channel();
        spawn_named("signals", async move {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_descriptors_becomes_the_hard_one() {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let fewer = current.map_or(Some(10_000), |current| Some(current - 1));
        setrlimit(Resource::Nofile, Rlimit { current: fewer, maximum }).unwrap();
        raise_descriptor_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
