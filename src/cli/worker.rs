//! `phaselab worker`: works on tasks until all are done or a signal comes, and says what they came to.

use std::process::ExitCode;

use clap::Args;
use span_profiler::tasks::spawn_named;
use tokio::sync::watch;

use super::ConfigArgs;
use super::serve::{self, Started};
use crate::config::{Config, Faults, Flag, Role, Rule, WorkerKind};
use crate::error::StartError;
use crate::http;
use crate::workload::workers::{self, Plan, Summary};

/// Works on tasks that come through a bounded queue; all of them once, evenly over the duration.
///
/// Both kinds do the same tasks and log the same checksum in the end. The bad one makes mistakes that its metrics and
/// profiles show: see docs/workers.md.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// How the work is done; also decides about the ports: 8081 and 6061, or 8082 and 6062
    #[arg(long)]
    kind: WorkerKind,
    /// Tasks in all, up to 1000000000 [PHASELAB_WORKER_TASKS, default 100000]
    #[arg(long, value_name = "COUNT")]
    tasks: Option<String>,
    /// Tasks that are worked on at once, up to 1024 [PHASELAB_WORKER_WORKERS, default 50]
    #[arg(long, value_name = "COUNT")]
    workers: Option<String>,
    /// The time over which the tasks come, up to 720h [PHASELAB_WORKER_DURATION, default 48h]
    #[arg(long, value_name = "DURATION")]
    duration: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl WorkerArgs {
    fn flags(self) -> Vec<Flag> {
        let own = [
            ("PHASELAB_WORKER_TASKS", "--tasks", self.tasks),
            ("PHASELAB_WORKER_WORKERS", "--workers", self.workers),
            ("PHASELAB_WORKER_DURATION", "--duration", self.duration),
        ];
        let own = own.into_iter().filter_map(|(variable, flag, value)| Some(Flag { variable, flag, value: value? }));
        own.chain(self.config.flags()).collect()
    }
}

/// Works until all tasks are done or a signal comes.
pub async fn run(args: WorkerArgs) -> ExitCode {
    let kind = args.kind;
    serve::configured(Role::Worker(kind), &args.flags(), async |config, ignored, broken| {
        work(kind, config, ignored, broken).await
    })
    .await
}

async fn work(kind: WorkerKind, config: &Config, ignored: &Faults, broken: &[Rule]) -> Result<(), StartError> {
    let Started { listener, address, signals, telemetry, guard, private, profiling: _profiling } =
        Started::new(config, ignored, broken, None).await?;
    // The diagnostics start it otherwise. Without jemalloc there is nothing to count.
    let _sampling = private.is_none().then(|| span_profiler::heap::start().ok());
    let diagnostics = private.map(|private| private.start(config, &telemetry, |sources| sources)).transpose()?;
    let plan = Plan::new(kind, &config.worker);
    let Plan { tasks, workers, duration, .. } = plan;
    let url = format!("http://{address}/metrics");
    tracing::info!(%address, url, kind = kind.name(), tasks, workers, ?duration, "listening");

    // Metrics can be read until the last task is done.
    let (done, is_done) = watch::channel(());
    let server = {
        let (config, telemetry) = (config.clone(), telemetry.clone());
        spawn_named("server", async move { http::worker::run(listener, &config, &telemetry, closed(is_done)).await })
    };
    let summary = workers::run(&plan, &telemetry, signals.first(), config.shutdown_timeout).await;
    drop(done);
    serve::warn_cut(server.await.expect("the server does not panic"), config);
    log(&summary);
    serve::stop(diagnostics, guard, config.shutdown_timeout).await;
    Ok(())
}

/// Resolves when the sender is gone.
async fn closed(mut receiver: watch::Receiver<()>) {
    while receiver.changed().await.is_ok() {}
}

fn log(summary: &Summary) {
    let Summary { accepted, ledger } = summary;
    let (processed, failed, checksum) = (ledger.processed, ledger.failed, format!("{:016x}", ledger.checksum));
    tracing::info!(accepted, processed, failed, checksum, abandoned = summary.abandoned(), "the tasks are done");
}
