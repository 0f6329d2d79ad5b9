//! The promise on the real programs: every exemplar that Prometheus holds leads to a stored trace, over
//! both protocols and by scraping alike, while hardly any other trace is kept.

use serde_json::Value;
use xtask::config::Protocol;

use super::lab::{Lab, Options, PATIENCE, wait_for};
use super::scraper::{self, Scraper};
use super::service::{Answer, FAILS, FAST, Traffic};

/// Seven export windows of five seconds.
const SECONDS: u32 = 30;
const RATE: u32 = 175;
/// Requests a second that are followed one by one, besides the load; and how many they are at least.
const FOLLOWED_RATE: u32 = 35;
const FOLLOWED: usize = 1_000;

/// One request in a hundred takes longer than an export window, so that its span ends, and can be
/// acknowledged, after the record of a faster one has been exported.
const MIX: &[&str] = &["--mix", "fast=92,slow=4,stuck=1,error=3", "--template", "stuck=/api/work?db_ms=6000"];

/// Metrics that must have exemplars.
const METRICS: [&str; 3] =
    ["http_server_request_duration_seconds", "section_duration_seconds", "db_client_operation_duration_seconds"];

#[test]
fn every_exemplar_resolves_pushed_over_both_protocols_and_scraped() {
    std::thread::scope(|scope| {
        let runs = [Protocol::Grpc, Protocol::Http].map(|protocol| scope.spawn(move || run(protocol)));
        // The thread has said why it failed.
        assert!(runs.into_iter().map(std::thread::ScopedJoinHandle::join).all(|run| run.is_ok()));
    });
}

fn run(protocol: Protocol) {
    let env = &[("PHASELAB_SAMPLING_PERCENTAGE", "1")];
    let lab = Lab::start(Options { env, serve: true, protocol: Some(protocol), ..Options::default() });
    let scraper = Scraper::start(&lab);
    let label = protocol.otel_name();

    let traffic = Traffic::start(&lab, FAST, FOLLOWED_RATE);
    let load = lab.load(RATE, &format!("{SECONDS}s"), MIX);
    wait_for("there are enough to tell", PATIENCE, || traffic.count() >= FOLLOWED);
    let followed = traffic.stop();
    let requests = check_load(&load);
    assert!(followed.iter().all(|answer| answer.status == 200), "a fast request failed");
    // Sent last: once its trace is stored, everything before it has been decided and delivered.
    let last = lab.get(FAILS);
    assert_eq!(last.status, 500);
    println!("  {label}: {requests} requests by load, {} followed one by one", followed.len());

    lab.wait_exported(requests + followed.len() as u64 + 1);
    check_report(&format!("{label}, pushed"), &lab.phaselab(&["verify"]));
    let report = lab.phaselab(&["verify", "--prometheus-url", &scraper.url()]);
    check_report(&format!("{label}, scraped"), &report);
    let slow = lab.exemplars(lab.stack.config().ports.prometheus).iter().filter(|one| one.value > 5.0).count();
    assert!(slow > 0, "no exemplar of a request that was slower than an export window");
    check_names(&lab, &scraper);

    let decided = || lab.holds(&last.trace_id, &last.span_id);
    wait_for("the last trace is decided", PATIENCE, decided);
    check_share(label, &lab, &followed);
    lab.print_resident();
}

/// The requests that were answered, all as their template wants.
fn check_load(load: &Value) -> u64 {
    let requests = load["requests"].as_u64().unwrap();
    assert!(requests >= 5_000, "only {requests} requests");
    let templates = load["templates"].as_array().unwrap();
    let wanted = templates.iter().find(|one| one["name"] == "error").unwrap()["requests"].as_u64();
    let errors = load["errors"].as_object().unwrap();
    assert_eq!((errors.len(), errors["http_500"].as_u64()), (1, wanted), "{load:#}");
    requests
}

/// At least 40 exemplars, some on each metric, and all of them resolve.
fn check_report(what: &str, (code, report): &(i32, Value)) {
    let metrics = report["metrics"].as_array().cloned().unwrap_or_default();
    let with: Vec<_> = metrics.iter().filter(|one| one["exemplars"].as_u64() > Some(0)).collect();
    println!(
        "  {what}: {} exemplars on {} metrics, {} resolve ({})",
        report["exemplars"],
        with.len(),
        report["resolved"],
        report["trace_store"]
    );
    assert_eq!(*code, 0, "{report:#}");
    assert!(report["exemplars"].as_u64() >= Some(40) && report["exemplars"] == report["resolved"], "{report:#}");
    for metric in METRICS {
        assert!(with.iter().any(|one| one["metric"] == metric), "no exemplar on {metric}: {report:#}");
    }
}

/// Pushed and scraped, the service's series have the same names. What only one side can have is left
/// out: what Prometheus says about a scrape, a target and an alert, and what the collector derives from spans.
fn check_names(lab: &Lab, scraper: &Scraper) {
    let own = |name: &String| {
        let foreign = ["up", "target_info", "ALERTS", "ALERTS_FOR_STATE", "traces_span_metrics_calls_total"];
        !foreign.contains(&name.as_str())
            && !name.starts_with("scrape_")
            && !name.starts_with("traces_span_metrics_duration_seconds_")
    };
    let names = |port| {
        let mut names = scraper::names(lab, port);
        names.retain(own);
        names
    };
    let (mut pushed, mut scraped) = Default::default();
    // What has just come up for the first time is pushed and scraped at different times.
    wait_for("the same names are pushed and scraped", PATIENCE, || {
        (pushed, scraped) = (names(lab.stack.config().ports.prometheus), names(scraper.port));
        pushed == scraped
    });
    println!("  {} names are the same pushed and scraped", pushed.len());
    assert!(pushed.len() > 20, "{pushed:?}");
}

/// Of fast traces without error and mark, at most three in a hundred are stored.
fn check_share(label: &str, lab: &Lab, followed: &[Answer]) {
    let stored: Vec<bool> = followed.iter().filter_map(|answer| lab.marked(&answer.trace_id)).collect();
    let marked = stored.iter().filter(|marked| **marked).count();
    let (kept, plain) = (stored.len() - marked, followed.len() - marked);
    println!("  {label}: {kept} of {plain} fast traces without mark are stored, and {marked} with it");
    // At 1 % of a thousand, thirty is six standard deviations away.
    assert!(plain >= 900, "too few to tell: {plain}");
    assert!(kept * 100 <= plain * 3, "{kept} of {plain} plain traces are stored at 1 %");
}
