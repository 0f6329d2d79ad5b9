//! What Prometheus, Alertmanager and the webhook say while things go wrong, and which alerts may fire meanwhile.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::http;
use xtask::ports::Ports;

use super::webhook::Told;
use crate::e2e::service::agent;

/// A window, a wait, and much room for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at the same thing.
const PAUSE: Duration = Duration::from_millis(700);

/// The name of an alert and whose it is: the service, or the job of a program that is scraped.
pub(super) type Alert = (String, String);

/// The same, where it is written down.
pub(super) type Named = (&'static str, &'static str);

/// An alert by its labels.
pub(super) fn alert(labels: &Value) -> Alert {
    let text = |label: &str| labels[label].as_str().map(str::to_owned);
    let owner = text("service_name").or_else(|| text("job"));
    (text("alertname").unwrap_or_default(), owner.unwrap_or_default())
}

fn owned((name, owner): Named) -> Alert {
    (name.to_owned(), owner.to_owned())
}

/// The backends of a stack, also while a part of it is stopped.
pub(super) struct Watch {
    ports: Ports,
    told: Told,
    /// What may fire now; an alert that two cases declare is there twice.
    declared: Mutex<Vec<Alert>>,
    /// What fired without being declared; everybody who waits gives up then.
    undeclared: Mutex<Option<String>>,
    over: AtomicBool,
}

impl Watch {
    pub(super) fn new(ports: Ports, told: Told) -> Self {
        Self { ports, told, declared: Mutex::default(), undeclared: Mutex::default(), over: AtomicBool::new(false) }
    }

    /// These alerts may fire until what is returned is dropped.
    pub(super) fn declare(&self, alerts: impl Iterator<Item = Named>) -> Declared<'_> {
        let alerts: Vec<_> = alerts.map(owned).collect();
        self.declared.lock().unwrap().extend(alerts.iter().cloned());
        Declared { watch: self, alerts }
    }

    /// Looks at what fires until [`end`](Self::end), so that nothing fires unseen.
    pub(super) fn run(&self) {
        while !self.over.load(Ordering::Relaxed) {
            self.firing();
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The alerts that fire in Prometheus; `None` when it does not answer. One that is not declared is a failure.
    pub(super) fn firing(&self) -> Option<BTreeSet<Alert>> {
        // What is declared before or after the answer may be in it.
        let mut allowed = self.declared.lock().unwrap().clone();
        let answer = self.get(self.ports.prometheus, "/api/v1/alerts")?;
        allowed.extend(self.declared.lock().unwrap().iter().cloned());
        let alerts = answer["data"]["alerts"].as_array()?;
        let firing = alerts.iter().filter(|one| one["state"] == "firing");
        for one in firing.clone().filter(|one| !allowed.contains(&alert(&one["labels"]))) {
            self.undeclared.lock().unwrap().get_or_insert_with(|| one.to_string());
        }
        Some(firing.map(|one| alert(&one["labels"])).collect())
    }

    /// Whether the webhook was told of this.
    pub(super) fn was_told(&self, alert: Named, status: &str) -> bool {
        self.told.lock().unwrap().contains(&(owned(alert), status.to_owned()))
    }

    /// The names of all alerts that there are rules for.
    pub(super) fn rules(&self) -> BTreeSet<String> {
        let answer = self.get(self.ports.prometheus, "/api/v1/rules?type=alert").unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether Alertmanager has the alert and keeps it to itself because of another one.
    pub(super) fn is_inhibited(&self, wanted: Named) -> bool {
        let answer = self.get(self.ports.alertmanager, "/api/v2/alerts").unwrap_or_default();
        answer.as_array().into_iter().flatten().any(|one| {
            alert(&one["labels"]) == owned(wanted)
                && one["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty())
        })
    }

    /// Whether none of these fires.
    pub(super) fn is_quiet(&self, mut alerts: impl Iterator<Item = Named>) -> bool {
        self.firing().is_some_and(|firing| !alerts.any(|alert| firing.contains(&owned(alert))))
    }

    /// The samples that a query gives now, or what Prometheus says instead.
    pub(super) fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.ports.prometheus);
        let mut answer = agent().post(&url).send_form([("query", query)]).map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        let samples = answer["data"]["result"].as_array().ok_or(text)?;
        samples.iter().map(|one| one["value"][1].as_str().and_then(|n| n.parse().ok()).ok_or(one.to_string())).collect()
    }

    /// Looks at each of `tasks` until all are done; who gives up says what each of the others says. Fails as soon as
    /// an alert fires that is not declared.
    pub(super) fn until_done(&self, what: &str, mut tasks: Vec<Task<'_>>) {
        let start = Instant::now();
        loop {
            let mut left = Vec::new();
            tasks.retain_mut(|task| match task() {
                Ok(()) => false,
                Err(why) => {
                    left.push(why);
                    true
                }
            });
            // Not with the lock held, which others look at, too.
            let undeclared = self.undeclared.lock().unwrap().clone();
            if let Some(undeclared) = undeclared {
                panic!("{what}: an alert fires that is not declared: {undeclared}");
            }
            if tasks.is_empty() {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}:\n  {}", left.join("\n  "));
            std::thread::sleep(PAUSE);
        }
    }

    fn get(&self, port: u16, path: &str) -> Option<Value> {
        let (status, body) = http::get(&format!("http://127.0.0.1:{port}{path}"), Duration::from_secs(30)).ok()?;
        if status == 200 { serde_json::from_str(&body).ok() } else { None }
    }
}

/// Something to be waited for; says what is still missing.
pub(super) type Task<'a> = Box<dyn FnMut() -> Result<(), String> + 'a>;

/// A task that is done when this holds.
pub(super) fn until<'a>(what: String, holds: impl Fn() -> bool + 'a) -> Task<'a> {
    Box::new(move || if holds() { Ok(()) } else { Err(what.clone()) })
}

/// Alerts that may fire as long as this lives.
pub(super) struct Declared<'a> {
    watch: &'a Watch,
    alerts: Vec<Alert>,
}

impl Drop for Declared<'_> {
    fn drop(&mut self) {
        // What a failed case leaves behind goes on, and is not what went wrong.
        if std::thread::panicking() {
            return;
        }
        let mut declared = self.watch.declared.lock().unwrap();
        for alert in &self.alerts {
            if let Some(at) = declared.iter().position(|one| one == alert) {
                declared.swap_remove(at);
            }
        }
    }
}
