//! `phaselab check`: validates without starting anything.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use crate::config::{self, Config, Faults, Flag, ProcessEnvironment};
use crate::error::EXIT_USAGE;
use crate::names::{EXEMPLARS, INSTRUMENTS};

/// Arguments of `phaselab check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print the effective configuration as variables.
    #[arg(long)]
    print: bool,
    /// Print every series that the service can show: instrument, kind, name in Prometheus, labels. Checks nothing.
    #[arg(long, conflicts_with = "print")]
    names: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Reports every fault and evaluates every rule.
#[must_use]
pub fn run(args: CheckArgs) -> ExitCode {
    if args.names {
        print!("{}", names());
        return ExitCode::SUCCESS;
    }
    check(&args.config.flags(), args.print)
}

/// One line per series, for people who write queries and for the check of those in this repository.
fn names() -> String {
    let mut lines = String::new();
    for instrument in INSTRUMENTS.iter().chain(EXEMPLARS) {
        let kind = format!("{:?}", instrument.kind);
        for series in instrument.series_names() {
            let bound = series.ends_with("_bucket").then(|| "le".to_owned());
            let labels: Vec<_> = instrument.labels().chain(bound).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{:<36} {kind:<13} {series:<52} {}", instrument.name, labels.join(","));
        }
    }
    lines
}

fn check(flags: &[Flag], print: bool) -> ExitCode {
    let (config, faults) = match Config::read(&ProcessEnvironment, flags) {
        Ok((config, faults)) => (Some(config), faults),
        Err(faults) => (None, faults),
    };
    report(&faults);
    let mut good = faults.0.is_empty();
    if let Some(config) = config {
        if print {
            print!("{}", config::print(&config));
        }
        for rule in config::rules(&config) {
            if rule.holds {
                println!("ok: {} ({})", rule.text, rule.numbers);
            } else {
                good = false;
                eprintln!("broken: {} ({}): {}", rule.text, rule.numbers, rule.fix);
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) }
}

/// Writes each fault on a line of its own to standard error.
pub(super) fn report(faults: &Faults) {
    for fault in &faults.0 {
        eprintln!("{fault}");
    }
}
