//! `phaselab health`: is the service well, as Prometheus knows it?

mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::private::EXIT_UNREACHABLE;
use super::screen;
use super::verify::{http_url, label_value, positive};
use crate::error::chain;
use crate::health::check::{Bounds, Subject};
use crate::health::{Settings, round};
use crate::names;

/// Asks Prometheus whether the service is healthy: a verdict for each check, with its value, its bound, and where to read on.
///
/// The queries stand in docs/queries.md. A check without data is not healthy: nothing is known then.
///
/// --json prints an object: prometheus, service, time, verdict and checks, each with check, verdict (healthy, unhealthy or
/// no_data), value, bound, unit, culprits (labels of what is not healthy), query and look. With --watch each is a line.
///
/// Exits with 0 when all is healthy, 1 when one check is not, 2 when Prometheus cannot be asked or has no data, 64 for bad
/// arguments.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Base address of Prometheus.
    #[arg(long, env = "PHASELAB_PROMETHEUS_URL", default_value = "http://127.0.0.1:9090", value_parser = http_url)]
    prometheus_url: String,
    /// The service: the label `service_name` of its series.
    #[arg(long, default_value = names::SERVICE_NAME, value_parser = label_value)]
    service: String,
    /// How many tasks more than 5 minutes ago are too many.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = bound, allow_negative_numbers = true)]
    tasks: f64,
    /// How fast memory may not grow, in bytes per second over 5 minutes.
    #[arg(long, value_name = "BYTES", default_value = "1000000", value_parser = bound, allow_negative_numbers = true)]
    memory: f64,
    /// How many cores are too many, over 1 minute.
    #[arg(long, value_name = "CORES", default_value = "0.5", value_parser = bound, allow_negative_numbers = true)]
    cpu: f64,
    /// How many messages to players are too many, per second over 1 minute.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = bound, allow_negative_numbers = true)]
    messages: f64,
    /// How many bytes to players are too many, per second over 1 minute.
    #[arg(long, value_name = "BYTES", default_value = "1000000", value_parser = bound, allow_negative_numbers = true)]
    bandwidth: f64,
    /// How many failed connections of players are too many, per second over 1 minute.
    #[arg(long, value_name = "COUNT", default_value = "0.1", value_parser = bound, allow_negative_numbers = true)]
    errors: f64,
    /// A check to leave out (repeatable, or with commas): the workers for example have no players.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    skip: Vec<Subject>,
    /// Longest time of one question.
    #[arg(long, default_value = "10s", value_parser = positive)]
    timeout: Duration,
    /// Ask again after this pause until interrupted.
    #[arg(long, value_name = "PAUSE", num_args = 0..=1, default_missing_value = "10s", value_parser = positive)]
    watch: Option<Duration>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub async fn run(args: HealthArgs) -> ExitCode {
    let settings = args.settings();
    screen::run("health", args.watch, !args.json, async || match round(&settings).await {
        Ok(report) if args.json => (Ok(screen::json(&report)), report.exit_code()),
        Ok(report) => (Ok(table::table(&report)), report.exit_code()),
        Err(error) => {
            let why = format!("{}; start it with make up, or name another with --prometheus-url", chain(&error));
            (Err(why), EXIT_UNREACHABLE)
        }
    })
    .await
}

impl HealthArgs {
    fn settings(&self) -> Settings {
        let Self { tasks, memory, cpu, messages, bandwidth, errors, .. } = *self;
        let bounds = Bounds { tasks, memory, cpu, messages, bandwidth, errors };
        let asked = Subject::ALL.into_iter().filter(|subject| !self.skip.contains(subject));
        Settings {
            prometheus_url: self.prometheus_url.clone(),
            service: self.service.clone(),
            checks: asked.map(|subject| subject.check(&self.service, &bounds)).collect(),
            timeout: self.timeout,
        }
    }
}

/// A bound that values can be compared with.
fn bound(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "is no number: write for example 0.5 or 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: HealthArgs,
    }

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let command = Command::try_parse_from([&["health"], arguments].concat());
        command.map(|command| command.args.settings()).map_err(|error| error.to_string())
    }

    #[test]
    fn bounds_and_checks_are_of_ones_choice() {
        Command::command().debug_assert();
        assert_eq!(parse(&[]).unwrap().checks.len(), Subject::ALL.len());
        let settings = parse(&["--cpu", "0.8", "--tasks=-1", "--skip", "messages,errors", "--skip", "alerts"]).unwrap();
        let bounds: Vec<_> = settings.checks.iter().map(|check| (check.subject.name(), check.bound)).collect();
        let expected =
            [("tasks", -1.0), ("memory", 1e6), ("cpu", 0.8), ("bandwidth", 1e6), ("targets", 1.0), ("exemplars", 1.0)];
        assert_eq!(bounds, expected);
        let settings = parse(&["--service", "phaselab-worker"]).unwrap();
        assert!(settings.checks[0].query.contains("{service_name=\"phaselab-worker\"}"));
    }

    #[test]
    fn the_defaults_are_those_of_the_documents_and_what_to_look_at_exists() {
        let queries = include_str!("../../docs/queries.md");
        for check in parse(&[]).unwrap().checks {
            let of_the_seeds = ![Subject::Alerts, Subject::Targets, Subject::Exemplars].contains(&check.subject);
            let line = format!("\n{} < {}\n", check.query, check.bound);
            assert!(!of_the_seeds || queries.contains(&line), "{line}");
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(check.look).exists(), "{}", check.look);
        }
    }

    #[test]
    fn bad_arguments_are_refused_with_the_fix() {
        for (arguments, fix) in [
            (&["--cpu", "NaN"][..], "write for example 0.5"),
            (&["--memory", "1MB"], "write for example 0.5"),
            (&["--skip", "disk"], "bandwidth"),
            (&["--service", "a\"b"], "has quotes"),
            (&["--prometheus-url", "9090"], "http://127.0.0.1:9090"),
            (&["--watch", "0s"], "not above zero"),
        ] {
            let said = parse(arguments).unwrap_err();
            assert!(said.contains(fix), "{arguments:?}: {said}");
        }
    }
}
