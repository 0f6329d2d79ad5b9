//! `phaselab load`: requests at a constant rate or in steps, and how long they took; or players of the game, and whether
//! they got everything.

mod game;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::interrupt::interrupted;
use crate::config::duration;
use crate::error::{EXIT_FAILED, EXIT_USAGE, chain};
use crate::load::Plan;
use crate::load::bots::MAX_PLAYERS;
use crate::load::mix::{self, Mix, Template};
use crate::load::profile::{Profile, Step};
use crate::load::run::{Run, RunError};
use crate::load::summary::Summary;
use crate::load::target::Target;
use crate::load::view;

/// Sends requests when the profile says so, whether or not the earlier ones were answered.
///
/// Latency counts from the intended start of a request, so a stall of the service shows in every request it delays.
/// Exits with 0 when a request succeeded (websocket: when every player got each broadcast once), 1 when every one failed
/// (one did not), 64 for bad arguments.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Base address of the service.
    #[arg(env = "PHASELAB_URL", default_value = "http://127.0.0.1:8080")]
    target: String,

    /// What to send: requests, or the messages of players of the game.
    #[arg(long, value_enum, default_value = "http")]
    scenario: Scenario,

    /// Requests per second, or messages of all players together [default: 50, websocket: 10]
    #[arg(long)]
    rate: Option<f64>,

    /// How long.
    #[arg(long, default_value = "30s", value_parser = any_duration)]
    duration: Duration,

    /// Steps of rate and duration instead, for example 10x10s,50x20s.
    #[arg(long, conflicts_with_all = ["rate", "duration"], value_parser = Profile::parse)]
    steps: Option<Profile>,

    /// Names and weights of the requests; fast, slow and error are built in [default: fast=8,slow=1,error=1]
    #[arg(long)]
    mix: Option<String>,

    /// A further request, or another one in place of a built-in one, for example null=/healthz (repeatable).
    #[arg(long = "template", value_name = "NAME=/PATH", value_parser = Template::parse)]
    templates: Vec<Template>,

    /// Requests that may be unanswered at once; more wait, and their waiting counts [default: 256]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    max_in_flight: Option<u16>,

    /// Players, for --scenario websocket [default: 50]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PLAYERS)))]
    players: Option<u16>,

    /// Players of them who do not read, for --scenario websocket [default: 0]
    #[arg(long)]
    slow_players: Option<u16>,

    /// Their room, for --scenario websocket [default: bots]
    #[arg(long)]
    room: Option<String>,

    /// Longest time from the sending of a request to the end of its answer, and longest wait before it is sent.
    #[arg(long, default_value = "30s", value_parser = timeout)]
    timeout: Duration,

    /// Allow a target other than this machine.
    #[arg(long)]
    allow_remote: bool,

    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Requests.
    Http,
    /// Messages of the game's players.
    Websocket,
}

/// Runs the command; prints the result to stdout, progress and problems to stderr.
pub async fn run(args: LoadArgs) -> ExitCode {
    let json = args.json;
    if args.scenario == Scenario::Websocket {
        return game::run(args).await;
    }
    let prepared = args.plan().and_then(|plan| {
        Run::new(plan).map_err(|error| match error {
            RunError::Path(why) => why,
            other => chain(&other),
        })
    });
    let run = match prepared {
        Ok(run) => Arc::new(run),
        Err(problem) => {
            eprintln!("phaselab load: {problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let sent = if std::io::stderr().is_terminal() {
        tokio::select! {
            sent = send(&run) => sent,
            never = view::show(&run) => match never {},
        }
    } else {
        send(&run).await
    };
    match sent {
        Ok(elapsed) => {
            let summary = Summary::new(&run, elapsed);
            print(&summary, json);
            if summary.all_failed() { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("phaselab load: {}", chain(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn print(summary: &Summary, json: bool) {
    if json {
        println!("{}", serde_json::to_string(summary).expect("a summary has text keys only"));
    } else {
        print!("{}", summary.table());
    }
}

/// Sends until the profile's end or the first signal; a second signal does not wait for answers any more.
async fn send(run: &Arc<Run>) -> Result<Duration, RunError> {
    let begin = std::time::Instant::now();
    let (stop, second) = signals();
    tokio::select! {
        sent = run.send(stop) => sent,
        () = second => Ok(begin.elapsed()),
    }
}

/// The first signal, and the one after it; the first is only noticed while somebody waits for the second.
fn signals() -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let (told, first) = tokio::sync::oneshot::channel::<()>();
    let second = async move {
        signal().await;
        // The receiver may be gone because the run has ended.
        let _ = told.send(());
        signal().await;
    };
    // Without a signal the sender is only dropped when the run has ended.
    let first = async {
        let _ = first.await;
    };
    (first, second)
}

/// Resolves with a signal; never, where the system does not let the process listen.
async fn signal() {
    if let Err(error) = interrupted().await {
        eprintln!("phaselab load: cannot listen for signals, the run ends with its profile: {error}");
        std::future::pending::<()>().await;
    }
}

impl LoadArgs {
    fn plan(self) -> Result<Plan, String> {
        let of_game = [
            ("--players", self.players.is_some()),
            ("--slow-players", self.slow_players.is_some()),
            ("--room", self.room.is_some()),
        ];
        only("websocket", &of_game)?;
        let target = Target::parse(&self.target, self.allow_remote)?;
        let profile = match self.steps {
            Some(steps) => steps,
            None => Profile::constant(Step::new(self.rate.unwrap_or(50.0), self.duration)?),
        };
        let mix = Mix::parse(self.mix.as_deref().unwrap_or(mix::DEFAULT), &self.templates)?;
        let max_in_flight = usize::from(self.max_in_flight.unwrap_or(256));
        Ok(Plan { target, profile, mix, max_in_flight, timeout: self.timeout })
    }
}

/// Refuses flags that mean nothing in the chosen scenario.
fn only(scenario: &str, given: &[(&str, bool)]) -> Result<(), String> {
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(format!("{flag} belongs to --scenario {scenario}: add that, or leave {flag} out")),
        None => Ok(()),
    }
}

fn any_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "is no duration with a unit: write for example 30s or 500ms".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    any_duration(text).and_then(|time| match time.is_zero() || time > Duration::from_secs(3_600) {
        true => Err("is not above zero and at most 1h: write for example 30s".to_owned()),
        false => Ok(time),
    })
}

#[cfg(test)]
mod tests;
