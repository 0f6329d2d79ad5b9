//! What goes wrong is seen, told and taken back, and nothing else is: every scenario moves the metrics that the documents
//! name and gives back what it took; its alerts fire in Prometheus, go over Alertmanager to a webhook, and resolve; no
//! other alert fires. Catches: rules that select what nobody emits, a pipeline or a configuration that loses alerts,
//! queries and commands in documents that do not work.
//!
//! All on one stack: [`cases`] has what happens, group by group, [`case`] what is expected of each, [`twins`] and
//! [`commands`] what documents promise. A [`watch`] sees every alert that fires in the meantime.
//!
//! Four alerts are not provoked: see [`NOT_PROVOKED`].

mod bounds;
mod case;
mod cases;
mod commands;
mod twins;
mod watch;
mod webhook;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Scope;
use std::time::Instant;

use xtask::progress::Progress;
use xtask::repo;
use xtask::rules::{self, Quick};
use xtask::stack::{Name, StackConfig};

use case::Case;
use cases::{CROWDED, GONE, GROWING, IDLE, MUCH, WORKERS};
use twins::Twins;
use watch::Watch;

use super::lab::{Lab, Options};

/// The rules with windows of some exports. Noise is larger in such windows, so some thresholds are, too; others are as
/// small as what can be taken from a small machine.
const RULES: Quick<'_> = Quick {
    window: "20s",
    wait: "6s",
    every: "2s",
    thresholds: &[
        ("TaskLeakSuspected", "2"),
        ("MemoryLeakSuspected", "2500000"),
        ("HeapGrowing", "2500000"),
        ("FileDescriptorLeak", "200"),
        ("HighCPU", "0.4"),
        ("AllocationChurn", "50000000"),
        ("SlowDatabase", "1"),
        ("ExemplarsDropped", "0.5"),
    ],
};

/// Exports that fit such windows, and workers that show their difference within one.
const ENV: [(&str, &str); 5] = [
    ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "1000"),
    ("PHASELAB_WORKER_TASKS", "4500"),
    ("PHASELAB_WORKER_WORKERS", "8"),
    ("PHASELAB_WORKER_DURATION", "15m"),
];

/// Alerts of which only promtool's tests say that they fire. The first two need more spans than a small machine makes in a
/// minute, the others a collector that is set up so that it breaks the promise; `controls` has such collectors.
const NOT_PROVOKED: [&str; 4] = ["CollectorQueueFilling", "SpansRefused", "TracesDroppedTooEarly", "ExemplarsDangle"];

/// The repository's rules and Alertmanager, quicker, and with a receiver.
fn quicken(config: &mut StackConfig, port: u16) {
    let dir = config.root.join("quick");
    rules::copy(&config.repo.join("prometheus"), &dir, RULES).unwrap();
    config.prometheus_config = Some(dir.clone());
    // How long the last value of somebody who is gone is shown; 5 minutes without it.
    config.prometheus_flags = vec!["--query.lookback-delta=30s".to_owned()];
    let text = fs::read_to_string(config.repo.join("alertmanager/alertmanager.yml")).unwrap();
    let hook = format!("  - name: nobody\n    webhook_configs:\n      - url: http://127.0.0.1:{port}/\n");
    let quick = text.replace("  - name: nobody\n", &hook).replace("group_wait: 10s", "group_wait: 1s");
    let quick = quick.replace("group_interval: 1m", "group_interval: 1s");
    assert!(quick.contains("webhook_configs") && quick.matches(": 1s").count() == 2, "{quick}");
    config.alertmanager_config = dir.join("alertmanager.yml");
    fs::write(&config.alertmanager_config, quick).unwrap();
}

#[test]
fn what_goes_wrong_is_seen_told_and_taken_back_and_nothing_else_is() {
    let (port, told) = webhook::listen();
    let options = Options { env: &ENV, serve: true, workers: true, ..Options::default() };
    let mut lab = Lab::start_with(options, |config| quicken(config, port));
    let watch = Watch::new(lab.stack.config().ports.clone(), told);
    let twins = Twins::read(&repo());
    nothing_is_left_out(&lab, &watch, &twins);
    std::thread::scope(|scope| {
        let seen = scope.spawn(|| watch.run());
        // The watch ends also when something fails.
        let run = catch_unwind(AssertUnwindSafe(|| all(&mut lab, &watch, &twins)));
        watch.end();
        seen.join().unwrap();
        run.unwrap_or_else(|failure| resume_unwind(failure));
    });
    twins.have_answered();
    lab.print_resident();
}

/// Each rule has a case that fires it or a reason not to have one, and each scenario and each twin has a case.
fn nothing_is_left_out(lab: &Lab, watch: &Watch, twins: &Twins) {
    let groups = [GROWING, CROWDED, MUCH];
    let cases = || groups.into_iter().flatten().chain([&IDLE, &WORKERS, &GONE]);
    let fired = cases().flat_map(|case| case.told.iter().chain(case.inhibited)).map(|(name, _)| *name);
    let expected: BTreeSet<_> = fired.chain(NOT_PROVOKED).map(str::to_owned).collect();
    assert_eq!(watch.rules(), expected);
    println!("  {} of {} alerts are provoked", expected.len() - NOT_PROVOKED.len(), expected.len());
    let (_, list) = lab.phaselab(&["scenario", "list"]);
    let names = list["scenarios"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    let is_case = |name: &str| cases().any(|case| case.name == name);
    let left: Vec<_> = names.filter(|name| !is_case(name)).collect();
    assert!(left.is_empty(), "no case starts {left:?}");
    twins.have_cases(is_case);
}

/// Group after group.
fn all(lab: &mut Lab, watch: &Watch, twins: &Twins) {
    // They run already.
    let workers = watch.declare(WORKERS.alerts());
    let part = Part::begin("idle");
    IDLE.run(lab, watch, twins);
    part.end();

    let part = Part::begin("growing, and the workers");
    let commands = watch.declare(commands::MAY.into_iter());
    std::thread::scope(|scope| {
        scope.spawn(|| WORKERS.happens(watch, twins));
        scope.spawn(|| commands::run(lab));
        group(scope, GROWING, lab, watch, twins);
    });
    part.end();
    drop(commands);
    for name in Name::WORKERS {
        lab.stack.stop_one(name, true).unwrap();
    }

    let part = Part::begin("crowded");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            WORKERS.is_over(watch, twins);
            drop(workers);
        });
        group(scope, CROWDED, lab, watch, twins);
    });
    part.end();

    let part = Part::begin("much");
    std::thread::scope(|scope| group(scope, MUCH, lab, watch, twins));
    part.end();

    let part = Part::begin("gone");
    let _declared = watch.declare(GONE.alerts());
    let gone = [Name::from(lab.stack.config().store().unwrap()), Name::Phaselab];
    for name in gone {
        lab.stack.stop_one(name, name == Name::Phaselab).unwrap();
    }
    GONE.happens(watch, twins);
    for name in gone {
        lab.stack.start_one(name, &mut Progress::silent()).unwrap();
    }
    GONE.is_over(watch, twins);
    part.end();
}

/// Cases side by side.
fn group<'scope>(
    scope: &'scope Scope<'scope, '_>,
    cases: &'scope [Case],
    lab: &'scope Lab,
    watch: &'scope Watch,
    twins: &'scope Twins,
) {
    for case in cases {
        scope.spawn(move || case.run(lab, watch, twins));
    }
}

/// Says how long a part took.
struct Part(&'static str, Instant);

impl Part {
    fn begin(name: &'static str) -> Self {
        Self(name, Instant::now())
    }

    fn end(self) {
        println!("  {}: {:.1} s", self.0, self.1.elapsed().as_secs_f64());
    }
}
