use std::collections::HashMap;

use tokio::time::{Instant, sleep};

use super::*;
use crate::config::Config;
use crate::telemetry;
use crate::workload::Workload;

/// The scenarios of a service that sends nothing anywhere.
fn lab() -> (Scenarios, telemetry::Telemetry, telemetry::Guard) {
    let env = HashMap::from([
        ("HOME", "/"),
        ("PHASELAB_DATABASE", ":memory:"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ]);
    let (config, _) = Config::read(&env, &[]).unwrap();
    let (telemetry, guard) = telemetry::start(&config).unwrap();
    let lab = Lab::new(Workload::new(&config, &telemetry.instruments), &telemetry.instruments);
    (Scenarios::new(lab, &telemetry.instruments, Handle::current()), telemetry, guard)
}

fn ramp() -> &'static Scenario {
    &ALL[find("ramp").unwrap()]
}

#[tokio::test(start_paused = true)]
async fn a_scenario_runs_once_at_a_time_and_ends_by_itself() {
    let (scenarios, ..) = lab();
    let started = Instant::now();
    let status = scenarios.start(ramp(), Values::default()).unwrap();
    assert!(status.state == State::Running && status.since.is_some() && status.last.is_none());
    assert_eq!(scenarios.start(ramp(), Values::default()).unwrap_err(), Refused::Running);
    while scenarios.status("ramp").unwrap().state != State::Stopped {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(scenarios.status("ramp").unwrap().last.unwrap().outcome, Outcome::Finished);
    scenarios.start(ramp(), Values::default()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_until_everything_is_undone() {
    let (scenarios, ..) = lab();
    scenarios.start(ramp(), Values::default()).unwrap();
    sleep(Duration::from_secs(20)).await;
    let meter = Arc::clone(&scenarios.0.lab.ramp);
    assert!(meter.current() > 60);
    let status = scenarios.stop("ramp").await.unwrap();
    assert_eq!((status.state, status.last.unwrap().outcome, meter.current()), (State::Stopped, Outcome::Stopped, 0));
    // Nothing happens to what does not run.
    assert_eq!(scenarios.stop("ramp").await.unwrap().state, State::Stopped);
    assert!(scenarios.stop("tramp").await.is_none() && scenarios.status("tramp").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_is_the_end_of_its_scenarios() {
    let (scenarios, ..) = lab();
    scenarios.start(ramp(), Values::default()).unwrap();
    sleep(Duration::from_secs(20)).await;
    scenarios.close();
    scenarios.closed().await;
    assert_eq!(scenarios.0.lab.ramp.current(), 0);
    assert_eq!(scenarios.start(ramp(), Values::default()).unwrap_err(), Refused::Closed);
}

/// What a scenario that is broken in some way comes to.
async fn supervised(run: impl Future<Output = ()> + Send + 'static) -> Outcome {
    let (scenarios, ..) = lab();
    let (_canceller, cancel) = Cancel::pair();
    let running = tokio::spawn(run);
    scenarios.supervise(0, running, cancel, Duration::from_secs(5)).await
}

#[tokio::test(start_paused = true)]
async fn scenarios_that_panic_or_hang_have_failed() {
    let started = Instant::now();
    assert_eq!(supervised(std::future::pending()).await, Outcome::Failed);
    assert_eq!(started.elapsed(), Duration::from_secs(5) + UNDO_LIMIT);
    assert_eq!(supervised(async { panic!("on purpose") }).await, Outcome::Failed);
    assert_eq!(supervised(sleep(Duration::from_secs(6))).await, Outcome::Finished);
}
