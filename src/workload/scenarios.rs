//! Scenarios: faults and loads that are switched on and off while the service runs, to see what they look like.
//!
//! - [`ALL`] is the registry; a scenario is one value in it, and its file below here says what it does;
//! - [`ramp`] is a scenario, and so are [`leaks`], [`pressure`] and [`compute`], which share a [`pace`];
//! - [`parameter`] bounds what can be asked for, [`control`] starts and stops, [`cancel`] tells a scenario to stop.
//!
//! Each scenario bounds what it takes, ends by itself, and undoes what it did. One that is not running costs nothing.

pub mod cancel;
mod compute;
pub mod control;
mod leaks;
mod pace;
pub mod parameter;
mod pressure;
pub mod ramp;

use std::pin::Pin;
use std::sync::Arc;

pub use cancel::Cancel;
pub use control::{Refused, Scenarios, State, Status};
pub use parameter::{Parameter, Unit, Values};

use super::Workload;
use crate::telemetry::Instruments;

/// What can be switched on.
#[derive(Debug)]
pub struct Scenario {
    /// Its name in addresses, commands and metrics.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What can be chosen. One of them is [`Parameter::DURATION`] or replaces it under its name.
    pub parameters: &'static [Parameter],
    /// Does it, and returns once it is undone: when it is cancelled, or before that of its own accord.
    pub run: fn(Run) -> Running,
}

/// A scenario at work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a scenario gets.
#[derive(Debug)]
pub struct Run {
    /// What it works with.
    pub lab: Lab,
    /// What was chosen.
    pub values: Values,
    /// Tells when to stop.
    pub cancel: Cancel,
}

/// What scenarios work with; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The work of requests, which some scenarios disturb.
    pub workload: Workload,
    /// What the ramp counts.
    pub ramp: Arc<ramp::Meter>,
}

/// All scenarios, in the order in which they are listed.
pub const ALL: &[Scenario] = &[
    ramp::SCENARIO,
    leaks::TASK_LEAK,
    leaks::MEMORY_LEAK,
    leaks::FILE_LEAK,
    leaks::CONNECTION_LEAK,
    pressure::POOL_EXHAUSTION,
    pressure::QUEUE_PRESSURE,
    compute::CPU_BOTTLENECK,
    compute::ALLOCATION_CHURN,
];

impl Lab {
    /// The parts of one service, with their instruments.
    #[must_use]
    pub fn new(workload: Workload, instruments: &Instruments) -> Self {
        Self { workload, ramp: ramp::Meter::new(instruments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_have_names_summaries_and_bounds() {
        for (index, scenario) in ALL.iter().enumerate() {
            let name = scenario.name;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!(ALL[..index].iter().all(|other| other.name != name), "{name} is there twice");
            assert!(!scenario.summary.is_empty() && !scenario.summary.contains('\n'), "{name}");
            let duration = scenario.parameters.iter().filter(|one| one.name == Parameter::DURATION.name);
            assert_eq!(duration.filter(|one| one.unit == Unit::Time).count(), 1, "{name} ends by itself");
            for Parameter { name: parameter, default, min, max, .. } in scenario.parameters {
                assert!(min <= default && default <= max, "{name}: {parameter}");
            }
        }
    }
}
