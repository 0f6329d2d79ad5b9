//! `phaselab scenario`: lists, starts and stops the scenarios of a running service.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use clap::{Args, Subcommand};
use serde::Deserialize;

use super::private::{Failure, Private, read};
use crate::config::percent;
use crate::error::{EXIT_FAILED, EXIT_USAGE};

/// Longer than any scenario takes to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lists, starts and stops the scenarios of a running service.
///
/// Exits with 0 when that is done, 1 when the service refused, 2 when the service could not be asked, 64 for bad arguments.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Show all scenarios, what can be chosen, and which of them run.
    List {
        /// Print what the service answered.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        private: Private,
    },
    /// Start one; it stops by itself after its duration.
    Start {
        /// Its name.
        name: String,
        /// What to choose, such as duration=30s; the list shows what there is.
        #[arg(value_name = "PARAMETER=VALUE")]
        parameters: Vec<String>,
        #[command(flatten)]
        private: Private,
    },
    /// Stop one, and wait until everything is undone.
    Stop {
        /// Its name.
        name: String,
        #[command(flatten)]
        private: Private,
    },
}

/// The answer to a question for all.
#[derive(Deserialize)]
struct List {
    scenarios: Vec<Shown>,
}

/// A scenario, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Shown {
    name: String,
    summary: String,
    state: String,
    last_run: Option<LastRun>,
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
struct LastRun {
    outcome: String,
    ended: String,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    about: String,
    unit: String,
    default: String,
    min: String,
    max: String,
    value: Option<String>,
}

/// Runs the command.
pub async fn run(args: ScenarioArgs) -> ExitCode {
    match args.action.run().await {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Failure(code, why)) => {
            eprintln!("phaselab scenario: {why}");
            ExitCode::from(code)
        }
    }
}

impl Action {
    async fn run(self) -> Result<String, Failure> {
        match self {
            Self::List { json, private } => {
                let url = private.address("/scenarios")?;
                let body = private.ask(Method::GET, &url, PATIENCE).await?;
                let list: List = read(&url, "scenarios", &body)?;
                Ok(if json { format!("{}\n", String::from_utf8_lossy(&body)) } else { table(&list.scenarios) })
            }
            Self::Start { name, parameters, private } => {
                let url = private.address(&path(&name, &parameters)?)?;
                let body = private.ask(Method::POST, &url, PATIENCE).await?;
                let Shown { name, parameters, .. } = read(&url, "a scenario", &body)?;
                let chosen = parameters.iter().map(|one| format!(" {}={}", one.name, one.shown())).collect::<String>();
                Ok(format!("{name} runs:{chosen}\nstop it with: phaselab scenario stop {name}\n"))
            }
            Self::Stop { name, private } => {
                let url = private.address(&path(&name, &[])?)?;
                let body = private.ask(Method::DELETE, &url, PATIENCE).await?;
                let Shown { name, last_run, .. } = read(&url, "a scenario", &body)?;
                match last_run {
                    Some(LastRun { outcome, ended }) if outcome == "failed" => {
                        let why =
                            format!("{name} failed at {ended}, so its tasks were dropped: the service's log says more");
                        Err(Failure(EXIT_FAILED, why))
                    }
                    Some(LastRun { outcome, ended }) => Ok(format!("{name} does not run: {outcome} at {ended}\n")),
                    None => Ok(format!("{name} does not run and never did\n")),
                }
            }
        }
    }
}

impl Parameter {
    fn shown(&self) -> &str {
        self.value.as_deref().unwrap_or(&self.default)
    }
}

/// What to ask for; the service knows names and bounds.
fn path(name: &str, parameters: &[String]) -> Result<String, Failure> {
    let encode = |pair: &String| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            let why = format!("{pair:?} is no parameter with a value: write for example duration=30s");
            Failure(EXIT_USAGE, why)
        })?;
        Ok(format!("{}={}", percent::encode(name), percent::encode(value)))
    };
    let pairs = parameters.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    Ok(format!("/scenarios/{}{query}", percent::encode(name)))
}

/// A line for each, and one for each of its parameters.
fn table(scenarios: &[Shown]) -> String {
    let mut text = String::new();
    for Shown { name, summary, state, parameters, .. } in scenarios {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<18} {state:<8}  {summary}");
        for one in parameters {
            let chosen = format!("{}={}", one.name, one.shown());
            // A duration is written with its unit.
            let unit = if one.unit == "duration" { String::new() } else { format!(" {}", one.unit) };
            let _ = writeln!(text, "{:<18} {chosen:<20} {} ({} to {}{unit})", "", one.about, one.min, one.max);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let of = |parameters: &[&str]| {
            let parameters: Vec<_> = parameters.iter().map(|&one| one.to_owned()).collect();
            path("ramp", &parameters).map_err(|Failure(code, why)| (code, why))
        };
        assert_eq!(of(&[]).unwrap(), "/scenarios/ramp");
        assert_eq!(of(&["workers=5", "x=a b&c"]).unwrap(), "/scenarios/ramp?workers=5&x=a%20b%26c");
        let (code, why) = of(&["workers"]).unwrap_err();
        assert!(code == EXIT_USAGE && why.contains("\"workers\"") && why.contains("duration=30s"), "{why}");
        assert_eq!(path("../debug", &[]).map_err(|Failure(_, why)| why).unwrap(), "/scenarios/..%2Fdebug");
    }
}
