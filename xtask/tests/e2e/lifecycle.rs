//! A stack comes up ready, is watched, and goes without a trace.

use std::time::{Duration, Instant};

use xtask::progress::Progress;
use xtask::stack::{Name, Stack};

use super::lab::{Lab, Options, PATIENCE, config, names, taken_ports, wait_for};

#[test]
fn a_stack_comes_up_scrapes_itself_and_leaves_nothing() {
    let lab = Lab::start(Options::default());
    println!("  up after {:?}", lab.up_after);
    let total = lab.print_resident();
    println!("  resident in all {} MiB", total / 1024 / 1024);
    assert!(total < 1024 * 1024 * 1024, "the whole stack is meant to fit in 1 GiB");
    let prometheus = lab.stack.config().ports.prometheus;
    wait_for("Prometheus reaches all three of its targets", PATIENCE, || {
        let answer = lab.ask(prometheus, "/api/v1/query?query=sum(up)");
        answer.is_some_and(|answer| answer["data"]["result"][0]["value"][1] == "3")
    });
    wait_for("Prometheus finds Alertmanager", PATIENCE, || {
        let answer = lab.ask(prometheus, "/api/v1/alertmanagers").unwrap_or_default();
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", lab.stack.config().ports.alertmanager);
        answer["data"]["activeAlertmanagers"][0]["url"] == url.as_str()
    });
    let config = lab.stack.config().clone();
    let start = Instant::now();
    let killed = lab.stack.stop(&mut Progress::silent()).unwrap();
    println!("  down after {:?}", start.elapsed());
    assert!(killed.is_empty(), "{killed:?} had to be killed");
    assert!(taken_ports(&config).is_empty(), "{:?}", taken_ports(&config));
    assert_eq!(std::fs::read_dir(config.root.join("run")).unwrap().count(), 0, "a pid file was left");
}

#[test]
fn a_second_start_takes_over_what_runs_and_starts_only_what_does_not() {
    let mut lab = Lab::start(Options::default());
    let before: Vec<_> = lab.stack.running().map(|(name, identity)| (name, identity.clone())).collect();
    lab.stack.stop_one(Name::Prometheus, false).unwrap();
    let again = Stack::start(lab.stack.config().clone(), &mut Progress::silent()).unwrap();
    for (name, identity) in before {
        let now = again.running().find(|(running, _)| *running == name).unwrap().1.clone();
        assert_eq!(now == identity, name != Name::Prometheus, "{name:?}");
    }
    assert_eq!(names(&again).len(), 4);
}

#[test]
fn a_program_that_dies_is_reported_with_the_end_of_its_log() {
    let mut lab = Lab::start(Options::default());
    lab.stack.check_alive().unwrap();
    let (_, collector) = lab.stack.running().find(|(name, _)| *name == Name::Collector).unwrap();
    let collector = collector.clone();
    assert!(xtask::process::stop(&[("collector", collector, Duration::from_secs(20))]).unwrap().is_empty());
    let report = lab.stack.check_alive().unwrap_err().to_string();
    assert!(report.contains("collector has ended") && report.contains("Shutdown complete"), "{report}");
}

#[test]
fn a_configuration_that_a_program_refuses_stops_the_start_and_everything_started() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.yaml");
    std::fs::write(&broken, "processors: {tail_sampling: {no_such_key: 1}}\n").unwrap();
    let mut config = config(dir.path(), Options::default());
    config.overlays.push(broken);
    let error = Stack::start(config.clone(), &mut Progress::silent()).unwrap_err().to_string();
    assert!(error.contains("collector has ended") && error.contains("no_such_key"), "{error}");
    assert!(taken_ports(&config).is_empty(), "{:?}", taken_ports(&config));
}
