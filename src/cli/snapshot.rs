//! `phaselab snapshot`: the metrics of a running service, without Prometheus.

mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::private::EXIT_UNREACHABLE;
use super::screen;
use super::verify::{http_url, positive};
use crate::config::WorkerKind;
use crate::error::{EXIT_FAILED, chain};
use crate::snapshot::reading::Reading;
use crate::snapshot::{Reader, SnapshotError};
use crate::verify::ask::AskError;

/// Reads the /metrics of a running service and prints them by metric: totals, values, and histograms with quantiles.
///
/// Quantiles are estimated from buckets as Prometheus' histogram_quantile does: as if the records lay evenly within their
/// bucket. `>10 s` lies in the last bucket, which has no upper bound and begins at 10 s. They are over all that was recorded
/// since the service started.
///
/// --json prints an object per reading: url, time and metrics, each with name, kind, unit, help and series; a series has
/// labels and either value, or count, sum, mean, exemplars and quantiles, each with quantile, value and open (it lies above).
/// With --watch, counters and histograms have per_second from the second reading on, and each object is one line.
///
/// Exits with 0 when it was read, 1 when the answer is none of metrics, 2 when nobody answers or no metric has the
/// prefix, 64 for bad arguments.
#[derive(Debug, Clone, Args)]
pub struct SnapshotArgs {
    /// Only metrics whose name begins so, for example section_ or http_.
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// Base address of the service; any other program with its metrics under /metrics will do, such as the collector.
    #[arg(long, env = "PHASELAB_URL", default_value = "http://127.0.0.1:8080", value_parser = http_url)]
    url: String,
    /// The worker of this kind instead, on its port unless it was moved: 8081 bad, 8082 optimized.
    #[arg(long, value_name = "KIND")]
    worker: Option<WorkerKind>,
    /// Longest time of a reading.
    #[arg(long, default_value = "10s", value_parser = positive)]
    timeout: Duration,
    /// Read again after this pause until interrupted, and show how fast everything grew since the last reading; on a
    /// terminal in place, as many lines as it has.
    #[arg(long, value_name = "PAUSE", num_args = 0..=1, default_missing_value = "2s", value_parser = positive)]
    watch: Option<Duration>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: SnapshotArgs) -> ExitCode {
    let reader = match Reader::new(args.timeout) {
        Ok(reader) => reader,
        Err(error) => {
            eprintln!("phaselab snapshot: {}", chain(&error));
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let mut before = None;
    screen::run("snapshot", args.watch, !args.json, async || match reader.read(&args.base()).await {
        Ok(reading) => args.say(reading, &mut before),
        Err(error) => (Err(explained(&error)), exit_code(&error)),
    })
    .await
}

impl SnapshotArgs {
    fn base(&self) -> String {
        match self.worker {
            Some(kind) => format!("http://{}", kind.listen()),
            None => self.url.clone(),
        }
    }

    /// The text of a reading, which takes the place of the one before.
    fn say(&self, mut reading: Reading, before: &mut Option<Reading>) -> screen::Said {
        let all = reading.metrics.len();
        reading.keep(&self.prefixes);
        if reading.metrics.is_empty() {
            let why = format!(
                "none of the {all} metrics of {} begins with {}: write the beginning of a name, or none for all",
                reading.url,
                self.prefixes.join(" or ")
            );
            return (Err(why), EXIT_UNREACHABLE);
        }
        if let Some(before) = before {
            reading.compare(before);
        }
        let text = if self.json { screen::json(&reading) } else { table::table(&reading) };
        *before = Some(reading);
        (Ok(text), 0)
    }
}

/// What went wrong, and what to do.
fn explained(error: &SnapshotError) -> String {
    let fix = match error {
        SnapshotError::Ask(AskError::Unreachable { .. }) => {
            "; start phaselab serve, or name another address with --url or --worker"
        }
        SnapshotError::Ask(AskError::Status { .. }) | SnapshotError::Other { .. } => {
            "; name the address of the API with --url: 8080 unless it was moved, and not the diagnostics' 6060"
        }
        _ => "",
    };
    format!("{}{fix}", chain(error))
}

fn exit_code(error: &SnapshotError) -> u8 {
    match error {
        SnapshotError::Ask(AskError::Unreachable { .. }) => EXIT_UNREACHABLE,
        _ => EXIT_FAILED,
    }
}
