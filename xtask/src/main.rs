//! The command line behind the Makefile; every command is a function of the library.

#![forbid(unsafe_code)]

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, Subcommand};
use xtask::config::{ProcessEnv, Settings};
use xtask::e2e::{self, Step};
use xtask::progress::{Progress, human};
use xtask::{build, lint, logs, repo, up};

/// Builds, starts, checks and stops the stack.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the stack: containers, native programs, or the service alone
    Up,
    /// Stop what `up` started and remove what it wrote
    Down {
        /// Leave data and logs for the next `up`
        #[arg(long)]
        keep_data: bool,
    },
    /// Show what the programs of the stack log
    Logs {
        /// One of them: collector, prometheus, alertmanager, tempo or jaeger, phaselab, verify
        service: Option<String>,
        /// How many lines of each
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
        /// Go on with what comes
        #[arg(long, short)]
        follow: bool,
    },
    /// Build collector, Prometheus and Jaeger with Go into the user cache
    Stack {
        /// Bring go.mod and go.sum in line with the pinned versions instead
        #[arg(long)]
        tidy: bool,
    },
    /// Run the end-to-end tests against the real programs
    E2e {
        /// Arguments for the test program, such as a part of a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check code and every configuration file
    Lint,
    /// Run a `phaselab` command with the addresses of the running stack
    Phaselab {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match Settings::from_env(&ProcessEnv) {
        Ok(settings) => settings,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            return ExitCode::from(64);
        }
    };
    match run(cli.task, &settings) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task, settings: &Settings) -> anyhow::Result<ExitCode> {
    let repo = repo();
    let mut progress = Progress::default();
    match task {
        Task::Up => up::up(settings, &repo, &mut progress)?,
        Task::Down { keep_data } => up::down(&repo, keep_data, &mut progress)?,
        Task::Logs { service, lines, follow } => logs::logs(&repo, service.as_deref(), lines, follow)?,
        Task::Stack { tidy: true } => build::tidy(&repo.join("stack"), &settings.cache, &mut progress)?,
        Task::Stack { tidy: false } => {
            build::stack(&repo.join("stack"), &settings.cache, &mut progress)?;
        }
        Task::Lint => lint::lint(settings, &repo, &mut progress)?,
        Task::E2e { args } => {
            for Step { what, command } in e2e::steps(settings, &repo, args, &mut progress)? {
                progress.say(format!("{what} …"));
                let start = Instant::now();
                let code = exit_code(command)?;
                if code != ExitCode::SUCCESS {
                    return Ok(code);
                }
                progress.say(format!("{what}: ok ({})", human(start.elapsed())));
            }
        }
        Task::Phaselab { args } => {
            let program = build::service::build(&repo, settings, &mut Progress::silent())?;
            let mut command = Command::new(program);
            command.envs(up::client_env(&repo)?).args(args);
            return exit_code(command);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on this terminal and passes its exit code on.
fn exit_code(mut command: Command) -> anyhow::Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot execute {}", command.get_program().display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
