//! `phaselab snapshot` and `phaselab health` on the real programs. Catches: quantiles that are not Prometheus', numbers that
//! are not those of the page, a healthy service that is called unhealthy or the other way round, and no answer that counts as
//! a good one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use xtask::stack::Name;

use super::lab::{Lab, Options, wait_for};
use super::service::agent;

/// An export a second, so that there are soon enough points for a rate.
const ENV: [(&str, &str); 2] = [("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "1000")];

/// Requests of three durations; so few at once that none is turned away, however slow the machine is.
const LOAD: [&str; 8] = [
    "--mix",
    "fast=5,some=2,more=1",
    "--template",
    "some=/api/work?db_ms=12",
    "--template",
    "more=/api/work?db_ms=40",
    "--max-in-flight",
    "16",
];

/// An export, the collector's queue, and room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until what starting took is a small part of a window, on a machine that does other things besides.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

type Labels = BTreeMap<String, String>;

/// What is a series' own: Prometheus adds the resource to each.
fn own(labels: &Value) -> Labels {
    let of_resource = |name: &str| {
        ["__name__", "job", "instance"].contains(&name)
            || name.starts_with("service_")
            || name.starts_with("deployment_")
    };
    let labels = labels.as_object().unwrap().iter().filter(|(name, _)| !of_resource(name));
    labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// What Prometheus answers to an instant query, by the series' own labels.
fn ask(lab: &Lab, promql: &str) -> BTreeMap<Labels, f64> {
    let url = format!("http://127.0.0.1:{}/api/v1/query", lab.stack.config().ports.prometheus);
    let text = agent().post(&url).send_form([("query", promql)]).unwrap().body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {answer}"));
    result.iter().map(|one| (own(&one["metric"]), one["value"][1].as_str().unwrap().parse().unwrap())).collect()
}

/// What `phaselab snapshot` reads of a metric, by labels: whatever `pick` takes of a series.
fn read(lab: &Lab, metric: &str, pick: impl Fn(&Value) -> f64) -> BTreeMap<Labels, f64> {
    let url = format!("http://127.0.0.1:{}", lab.stack.config().ports.http);
    let (code, reading) = lab.phaselab(&["snapshot", "--url", &url, metric]);
    assert_eq!(code, 0);
    let metrics = reading["metrics"].as_array().unwrap();
    let series = metrics.iter().find(|one| one["name"] == metric).unwrap()["series"].as_array().unwrap();
    series.iter().map(|one| (own(&one["labels"]), pick(one))).collect()
}

#[test]
fn a_snapshot_has_prometheus_numbers_and_health_knows_well_from_ill() {
    let mut lab = Lab::start(Options { env: &ENV, serve: true, watch: true, ..Options::default() });
    let load = lab.load(50, "4s", &LOAD);
    assert_eq!(load["failed"], 0, "{load:#}");
    let requests = load["requests"].as_f64().unwrap();
    numbers(&lab, requests);
    health(&mut lab);
}

/// Nobody sends any more, so both say the same of these metrics once all has arrived.
fn numbers(lab: &Lab, requests: f64) {
    let count = |one: &Value| one["count"].as_f64().unwrap();
    // A record of the request comes after those of its sections.
    wait_for("every request is recorded", PATIENCE, || {
        let counts = read(lab, "http_server_request_duration_seconds", count);
        let of_work =
            counts.iter().filter(|(labels, _)| labels.get("http_route").is_some_and(|one| one == "/api/work"));
        of_work.map(|(_, count)| count).sum::<f64>() == requests
    });
    let metric = "section_duration_seconds";
    let counts = read(lab, metric, count);
    assert_eq!(counts.values().sum::<f64>(), 3.0 * requests, "three sections a request: {counts:?}");
    wait_for("every section is in Prometheus", PATIENCE, || {
        ask(lab, &format!("{metric}_count{{service_name=\"phaselab\"}}")) == counts
    });
    for (at, share) in [0.5, 0.95, 0.99].into_iter().enumerate() {
        let ours = read(lab, metric, |one| one["quantiles"][at]["value"].as_f64().unwrap());
        let theirs = ask(lab, &format!("histogram_quantile({share}, {metric}_bucket{{service_name=\"phaselab\"}})"));
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (labels, value) in &ours {
            assert!((value - theirs[labels]).abs() <= 1e-9 * value.abs(), "{share} of {labels:?}: {value}, {theirs:?}");
        }
        println!("  {share}: {:?}", ours.values().collect::<Vec<_>>());
    }
    for counter in ["work_loop_iterations_total", "websocket_messages_sent_total", "app_tasks_rejected_total"] {
        let ours = read(lab, counter, |one| one["value"].as_f64().unwrap());
        assert_eq!(ours.values().sum::<f64>(), lab.metric(counter, ""), "{counter} on the page");
        wait_for(counter, PATIENCE, || ask(lab, &format!("{counter}{{service_name=\"phaselab\"}}")) == ours);
    }
}

fn health(lab: &mut Lab) {
    let mut last = Value::Null;
    let verdict = |report: &Value, check: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|one| one["check"] == check).unwrap()["verdict"].as_str().unwrap().to_owned()
    };
    let settled = wait_for("the idle service is healthy", SETTLED_WITHIN, || {
        // The first requests of all start what then stays, such as connections; 5 minutes later the default would do.
        // What alerts say of a machine that is slow today is not asked here.
        let (code, report) = lab.phaselab(&["health", "--tasks", "100", "--skip", "alerts"]);
        last = report;
        code == 0
    });
    println!("  healthy after {:.1} s: {last}", settled.as_secs_f64());
    assert_eq!((last["verdict"].as_str(), last["checks"].as_array().unwrap().len()), (Some("healthy"), 8));

    // Nothing uses less than nothing.
    let (code, report) = lab.phaselab(&["health", "--cpu", "0"]);
    assert_eq!((code, verdict(&report, "cpu").as_str()), (1, "unhealthy"), "{report}");
    assert_ne!(verdict(&report, "alerts"), "no_data", "{report}");
    let (code, table) = lab.phaselab_text(&["health", "--cpu", "0"]);
    let named =
        table.lines().any(|line| line.starts_with("cpu ") && line.ends_with("unhealthy  docs/runbooks/HighCPU.md"));
    assert!(code == 1 && named && table.contains("phaselab is not healthy: "), "{table}");

    let (code, report) = lab.phaselab(&["health", "--service", "nobody", "--skip", "alerts,targets"]);
    assert_eq!((code, verdict(&report, "tasks").as_str()), (2, "no_data"), "{report}");

    lab.stack.stop_one(Name::Prometheus, true).unwrap();
    assert_eq!(lab.phaselab(&["health"]), (2, Value::Null));
}
