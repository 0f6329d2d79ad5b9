//! Alerts on their way: what goes wrong fires in Prometheus, arrives in Alertmanager and at a webhook, and resolves
//! when it is over. Catches: rules that select what nobody emits, a pipeline or a configuration that loses alerts.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use xtask::progress::Progress;
use xtask::rules::{self, Quick};
use xtask::stack::{Name, StackConfig};

use super::lab::{Lab, Options, wait_for};
use super::service::Traffic;

/// The rules with windows of a few exports.
const RULES: Quick<'_> = Quick { window: "20s", wait: "5s", every: "1s", thresholds: &[] };

/// Exports that fit such windows.
const ENV: [(&str, &str); 2] = [("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "1000")];

/// A window, a wait, and room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each alert that was told, with `firing` or `resolved`.
type Told = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Listens for what Alertmanager tells, as long as the test runs.
fn webhook() -> (u16, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Told::default();
    let heard = Arc::clone(&told);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let message: Value = serde_json::from_slice(&body).unwrap();
            for alert in message["alerts"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                heard.lock().unwrap().insert((text(&alert["labels"]["alertname"]), text(&alert["status"])));
            }
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (port, told)
}

/// The repository's rules and Alertmanager, quicker, and with a receiver.
fn quicken(config: &mut StackConfig, port: u16) {
    let dir = config.root.join("quick");
    rules::copy(&config.repo.join("prometheus"), &dir, RULES).unwrap();
    config.prometheus_config = Some(dir.clone());
    let text = fs::read_to_string(config.repo.join("alertmanager/alertmanager.yml")).unwrap();
    let hook = format!("  - name: nobody\n    webhook_configs:\n      - url: http://127.0.0.1:{port}/\n");
    let quick = text.replace("  - name: nobody\n", &hook).replace("group_wait: 10s", "group_wait: 1s");
    let quick = quick.replace("group_interval: 1m", "group_interval: 1s");
    assert!(quick.contains("webhook_configs") && quick.matches(": 1s").count() == 2, "{quick}");
    config.alertmanager_config = dir.join("alertmanager.yml");
    fs::write(&config.alertmanager_config, quick).unwrap();
}

/// The alerts that fire in Prometheus.
fn firing(lab: &Lab) -> BTreeSet<String> {
    let answer = lab.ask(lab.stack.config().ports.prometheus, "/api/v1/alerts").unwrap_or_default();
    let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
    let names = alerts.iter().filter(|alert| alert["state"] == "firing").map(|alert| &alert["labels"]["alertname"]);
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Waits until every one of `names` was told with this status; none but `allowed` fires meanwhile.
fn wait_told(lab: &Lab, told: &Told, names: &[&str], status: &str, allowed: &[&str]) {
    wait_for(&format!("{names:?} {status}"), PATIENCE, || {
        let fires = firing(lab);
        assert!(fires.iter().all(|name| allowed.contains(&name.as_str())), "not declared: {fires:?}");
        let told = told.lock().unwrap();
        names.iter().all(|name| told.contains(&((*name).to_owned(), status.to_owned())))
    });
}

#[test]
fn what_goes_wrong_is_told_and_taken_back_and_nothing_else_is() {
    let (port, told) = webhook();
    let options = Options { env: &ENV, serve: true, ..Options::default() };
    let mut lab = Lab::start_with(options, |config| quicken(config, port));

    // Slow queries, then a failure. With all windows alike the slow burn fires, too.
    let expected = ["WorkErrorsBurnFast", "SlowDatabase"];
    let allowed = ["WorkErrorsBurnFast", "WorkErrorsBurnSlow", "SlowDatabase"];
    let traffic = Traffic::start(&lab, "/api/work?db_ms=300&fail=json_encode", 5);
    wait_told(&lab, &told, &expected, "firing", &allowed);
    traffic.stop();
    wait_told(&lab, &told, &expected, "resolved", &allowed);
    wait_for("the burn is over", PATIENCE, || firing(&lab).is_empty());

    // The trace store goes away and comes back.
    let store = Name::from(lab.stack.config().store().unwrap());
    lab.stack.stop_one(store, false).unwrap();
    wait_told(&lab, &told, &["BackendDown"], "firing", &["BackendDown"]);
    lab.stack.start_one(store, &mut Progress::silent()).unwrap();
    wait_told(&lab, &told, &["BackendDown"], "resolved", &["BackendDown"]);
}
