//! `phaselab load --scenario websocket`.

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;

use super::{LoadArgs, only, signals};
use crate::error::{EXIT_FAILED, EXIT_USAGE};
use crate::load::bots::Plan;
use crate::load::bots::report::Report;
use crate::load::bots::run::{PlayerReports, Run};
use crate::load::target::Target;
use crate::load::view::Clear;

/// Time between two pictures.
const REFRESH: Duration = Duration::from_millis(250);

/// Has the bots play; prints the result to stdout, progress and problems to stderr.
pub(super) async fn run(args: LoadArgs) -> ExitCode {
    let json = args.json;
    let run = match args.game() {
        Ok(plan) => Run::new(plan),
        Err(problem) => {
            eprintln!("phaselab load: {problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let played = if std::io::stderr().is_terminal() {
        tokio::select! {
            played = play(&run) => played,
            never = show(&run) => match never {},
        }
    } else {
        play(&run).await
    };
    let Some(reports) = played else {
        eprintln!(
            "phaselab load: ended by a second signal before all players had left, so nothing can be said of them"
        );
        return ExitCode::from(EXIT_FAILED);
    };
    let report = Report::new(run.shared(), &reports);
    if json {
        println!("{}", serde_json::to_string(&report).expect("a report has text keys only"));
    } else {
        print!("{}", report.table());
    }
    if report.good() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
}

/// Plays until the end or the first signal; a second signal does not wait for the players to leave, and what they would
/// have told is lost.
async fn play(run: &Run) -> Option<PlayerReports> {
    let (stop, second) = signals();
    tokio::select! {
        biased;
        // It listens before anybody plays.
        () = second => None,
        reports = run.play(stop) => Some(reports),
    }
}

/// Draws on stderr until the future is dropped.
async fn show(run: &Run) -> Infallible {
    let Clear(spinner) = &Clear(ProgressBar::new_spinner());
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        ticks.tick().await;
        let shared = run.shared();
        spinner.set_message(format!(
            "{} of {} players in room {}, {} broadcasts came",
            shared.playing(),
            shared.plan().players,
            shared.plan().room,
            shared.deliveries()
        ));
        spinner.tick();
    }
}

impl LoadArgs {
    pub(super) fn game(self) -> Result<Plan, String> {
        let of_http = [
            ("--steps", self.steps.is_some()),
            ("--mix", self.mix.is_some()),
            ("--template", !self.templates.is_empty()),
            ("--max-in-flight", self.max_in_flight.is_some()),
        ];
        only("http", &of_http)?;
        let plan = Plan {
            target: Target::parse(&self.target, self.allow_remote)?,
            room: self.room.unwrap_or_else(|| "bots".to_owned()),
            players: self.players.unwrap_or(50),
            slow: self.slow_players.unwrap_or(0),
            rate: self.rate.unwrap_or(10.0),
            duration: self.duration,
            timeout: self.timeout,
        };
        plan.checked()
    }
}
