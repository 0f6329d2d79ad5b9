//! `phaselab check`: validates without starting anything.

use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use crate::config::{self, Config, Faults, Flag, ProcessEnvironment};
use crate::error::EXIT_USAGE;

/// Arguments of `phaselab check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print the effective configuration as variables.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Reports every fault and evaluates every rule.
#[must_use]
pub fn run(args: CheckArgs) -> ExitCode {
    check(&args.config.flags(), args.print)
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
