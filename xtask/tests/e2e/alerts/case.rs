//! One thing that goes wrong, or merely on: what is done, which metrics it moves, and which alerts it may fire.

use std::process::{Child, Stdio};

use rustix::process::Signal;
use xtask::process::Identity;

use super::bounds::Bounds;
use super::twins::{Twins, When};
use super::watch::{Named, Task, Watch, until};
use crate::e2e::lab::Lab;
use crate::e2e::service::Traffic;

/// A case, as the documents describe it.
pub(super) struct Case {
    /// The name under which `docs/queries.md` asks for it.
    pub(super) name: &'static str,
    pub(super) does: Does,
    /// Requests that go on meanwhile, one after the other, at most so many a second.
    pub(super) requests: &'static [(&'static str, u32)],
    /// Queries, between what every sample lies meanwhile, and between what afterwards if that says something.
    pub(super) moves: &'static [(&'static str, &'static str, &'static str)],
    /// Alerts that fire, arrive at the webhook, and are taken back.
    pub(super) told: &'static [Named],
    /// Alerts that fire, and that Alertmanager keeps to itself: one that is told says the same louder.
    pub(super) inhibited: &'static [Named],
    /// Alerts that may fire: with windows of seconds a moment looks like a trend.
    pub(super) may: &'static [Named],
}

/// What is done beside requests.
pub(super) enum Does {
    Nothing,
    /// Starts a scenario, with parameters.
    Scenario(&'static [&'static str]),
    /// Starts a command with variables of its own, which ends when it is asked to; `TARGET` in it is the service.
    Command(&'static [&'static str], &'static [(&'static str, &'static str)]),
}

/// A case of which nothing is special, to write others by.
pub(super) const PLAIN: Case =
    Case { name: "", does: Does::Nothing, requests: &[], moves: &[], told: &[], inhibited: &[], may: &[] };

impl Case {
    pub(super) fn alerts(&self) -> impl Iterator<Item = Named> {
        [self.told, self.inhibited, self.may].into_iter().flatten().copied()
    }

    /// Goes through the whole case: all that it is to do is seen, and later over.
    pub(super) fn run(&self, lab: &Lab, watch: &Watch, twins: &Twins) {
        let _declared = watch.declare(self.alerts());
        let running = self.start(lab);
        self.happens(watch, twins);
        running.stop();
        self.is_over(watch, twins);
    }

    fn start<'a>(&self, lab: &'a Lab) -> Running<'a> {
        let mut scenario = None;
        let mut child = None;
        match self.does {
            Does::Nothing => {}
            Does::Scenario(arguments) => {
                let (code, said) = lab.phaselab_text(&[&["scenario", "start"], arguments].concat());
                assert_eq!(code, 0, "{arguments:?}: {said}");
                scenario = Some((lab, arguments[0]));
            }
            Does::Command(arguments, env) => {
                let target = format!("http://127.0.0.1:{}", lab.stack.config().ports.http);
                let place = |one: &&'static str| if *one == "TARGET" { target.as_str() } else { *one };
                let arguments: Vec<_> = arguments.iter().map(place).collect();
                let mut command = lab.phaselab_command(&arguments);
                child = Some(Killed(command.envs(env.iter().copied()).stdout(Stdio::null()).spawn().unwrap()));
            }
        }
        let traffic = self.requests.iter().map(|(path, per_second)| Traffic::start(lab, path, *per_second)).collect();
        Running { scenario, child, traffic }
    }

    /// Waits until everything is seen that belongs to the case.
    pub(super) fn happens(&self, watch: &Watch, twins: &Twins) {
        let mut tasks: Vec<Task<'_>> = Vec::new();
        if let Does::Scenario([scenario, ..]) = self.does {
            tasks.push(lies(watch, format!("scenario_active{{scenario=\"{scenario}\"}}"), "1..1"));
        }
        tasks.extend(self.moves.iter().map(|(query, during, _)| lies(watch, (*query).to_owned(), during)));
        tasks.extend(
            self.told
                .iter()
                .map(|alert| until(format!("{alert:?} is told to the webhook"), || watch.was_told(*alert, "firing"))),
        );
        tasks.extend(
            self.inhibited.iter().map(|alert| until(format!("{alert:?} is inhibited"), || watch.is_inhibited(*alert))),
        );
        tasks.extend(twins.tasks(watch, When::During, self.name));
        watch.until_done(&format!("{} happens", self.name), tasks);
    }

    /// Waits until nothing is left of the case.
    pub(super) fn is_over(&self, watch: &Watch, twins: &Twins) {
        let mut tasks: Vec<Task<'_>> = Vec::new();
        if let Does::Scenario([scenario, ..]) = self.does {
            tasks.push(lies(watch, format!("scenario_active{{scenario=\"{scenario}\"}}"), "0..0"));
        }
        let returns = self.moves.iter().filter(|(_, _, after)| !after.is_empty());
        tasks.extend(returns.map(|(query, _, after)| lies(watch, (*query).to_owned(), after)));
        tasks.extend(self.told.iter().map(|alert| {
            until(format!("{alert:?} is taken back at the webhook"), || watch.was_told(*alert, "resolved"))
        }));
        tasks.push(until("none of its alerts fires".to_owned(), || watch.is_quiet(self.alerts())));
        tasks.extend(twins.tasks(watch, When::After, self.name));
        watch.until_done(&format!("{} is over", self.name), tasks);
    }
}

/// Waits until there are samples and each of them lies between bounds.
fn lies<'a>(watch: &'a Watch, query: String, bounds: &str) -> Task<'a> {
    let bounds: Bounds = bounds.parse().unwrap_or_else(|error| panic!("{query}: {error}"));
    Box::new(move || match watch.query(&query) {
        Ok(samples) if !samples.is_empty() && samples.iter().all(|sample| bounds.hold(*sample)) => Ok(()),
        other => Err(format!("{query} is to lie in {bounds}: {other:?}")),
    })
}

/// What was started for a case.
struct Running<'a> {
    scenario: Option<(&'a Lab, &'static str)>,
    child: Option<Killed>,
    traffic: Vec<Traffic>,
}

impl Running<'_> {
    fn stop(self) {
        if let Some((lab, scenario)) = self.scenario {
            let (code, said) = lab.phaselab_text(&["scenario", "stop", scenario]);
            // A ramp has an end of its own.
            let ended = ["stopped at", "finished at"].iter().any(|how| said.contains(how));
            assert!(code == 0 && ended, "{scenario}: {said}");
        }
        if let Some(Killed(child)) = &mut { self.child } {
            Identity::of(child.id()).unwrap().signal(Signal::INT);
            child.wait().unwrap();
        }
        self.traffic.into_iter().for_each(|traffic| drop(traffic.stop()));
    }
}

/// A command that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
