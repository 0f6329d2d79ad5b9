//! What tests do with a stack whose service runs: send requests, run `phaselab` commands, ask for exemplars.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use xtask::stack::client_env;

use super::lab::{Lab, wait_for};

/// A request that takes about a millisecond.
pub(super) const FAST: &str = "/api/work?db_ms=1&loop_iterations=2000&items=10";
/// One that fails: its trace is kept by another policy than the mark's.
pub(super) const FAILS: &str = "/api/work?fail=db_query";

/// Two export intervals of five seconds, the collector's queue, and room for a busy machine.
const EXPORTED_WITHIN: Duration = Duration::from_secs(120);

/// Variables under which a trace is given up sooner than by default, because `verify` waits that long for an
/// exemplar that does not resolve. They keep the rules of `phaselab check`.
pub(super) const QUICK: [(&str, &str); 4] = [
    ("PHASELAB_SAMPLING_PERCENTAGE", "1"),
    ("PHASELAB_DECISION_WAIT", "10s"),
    ("PHASELAB_REQUEST_TIMEOUT", "5s"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "3500"),
];

/// What the service answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status; 0 when there was no answer.
    pub(super) status: u16,
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// The root span, 16 hexadecimal digits.
    pub(super) span_id: String,
}

/// An exemplar as Prometheus tells it.
#[derive(Debug)]
pub(super) struct Exemplar {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) value: f64,
}

impl Lab {
    /// One request to the service.
    pub(super) fn get(&self, path: &str) -> Answer {
        get(&agent(), self.stack.config().ports.http, path)
    }

    /// The page behind `/metrics`, in the format that `accept` asks for.
    pub(super) fn metrics_page(&self, accept: &str) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.stack.config().ports.http);
        let mut response = agent().get(&url).header("accept", accept).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    /// The sum of a metric's samples on `/metrics` whose labels contain `labels`.
    pub(super) fn metric(&self, name: &str, labels: &str) -> f64 {
        let page = self.metrics_page("text/plain");
        let samples = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(labels));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Runs a `phaselab` command with the variables of this stack; its exit code and the JSON that it printed.
    pub(super) fn phaselab(&self, args: &[&str]) -> (i32, Value) {
        let (code, said) = self.phaselab_text(&[args, &["--json"]].concat());
        (code, serde_json::from_str(&said).unwrap_or_default())
    }

    /// The same, with what it printed as it is.
    pub(super) fn phaselab_text(&self, args: &[&str]) -> (i32, String) {
        let output = self.phaselab_command(args).output().unwrap();
        print!("{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// A `phaselab` command with the variables of this stack.
    pub(super) fn phaselab_command(&self, args: &[&str]) -> Command {
        let config = self.stack.config();
        let mut command = Command::new(config.service.as_ref().unwrap());
        for name in &config.env_remove {
            command.env_remove(name);
        }
        command.envs(client_env(config)).envs(&config.env).args(args).stdin(Stdio::null());
        command
    }

    /// Runs `phaselab load` against this stack's service.
    pub(super) fn load(&self, rate: u32, duration: &str, mix: &[&str]) -> Value {
        let target = format!("http://127.0.0.1:{}", self.stack.config().ports.http);
        let rate = rate.to_string();
        let (code, summary) =
            self.phaselab(&[&["load", &target, "--rate", &rate, "--duration", duration], mix].concat());
        assert_eq!(code, 0, "{summary:#}");
        summary
    }

    /// Waits until the service has exported the record of every one of `requests` to `/api/work`, with the exemplars
    /// of the same export. More than that would be as wrong as less.
    pub(super) fn wait_exported(&self, requests: u64) {
        let query = r#"/api/v1/query?query=sum(http_server_request_duration_seconds_count{http_route="/api/work"})"#;
        let port = self.stack.config().ports.prometheus;
        let mut exported = 0;
        wait_for("every request is exported", EXPORTED_WITHIN, || {
            let answer = self.ask(port, &escaped(query)).unwrap_or_default();
            exported = answer["data"]["result"][0]["value"][1].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
            exported >= requests
        });
        assert_eq!(exported, requests, "more requests than were sent");
    }

    /// The service's exemplars in the Prometheus on `port`.
    pub(super) fn exemplars(&self, port: u16) -> Vec<Exemplar> {
        self.exemplars_of(port, r#"{job="phaselab"}"#)
    }

    /// The exemplars of the series that `query` selects.
    pub(super) fn exemplars_of(&self, port: u16, query: &str) -> Vec<Exemplar> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let range = format!("start={}&end={}", now - 900, now + 60);
        let path = format!("/api/v1/query_exemplars?query={}&{range}", escaped(query));
        let answer = self.ask(port, &path).unwrap_or_default();
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        let exemplars = series.iter().flat_map(|one| one["exemplars"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        exemplars
            .map(|one| Exemplar {
                trace_id: text(&one["labels"]["trace_id"]),
                span_id: text(&one["labels"]["span_id"]),
                value: text(&one["value"]).parse().unwrap(),
            })
            .collect()
    }
}

/// Requests one after the other at a steady pace, until stopped.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Answer>>,
}

impl Traffic {
    /// Starts to send `path`, at most `per_second` times a second.
    pub(super) fn start(lab: &Lab, path: &'static str, per_second: u32) -> Self {
        let (stop, port) = (Arc::new(AtomicBool::new(false)), lab.stack.config().ports.http);
        let (told, count) = (Arc::clone(&stop), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let thread = std::thread::spawn(move || {
            let (agent, start) = (agent(), Instant::now());
            let mut answers = Vec::new();
            for number in 0_u32.. {
                let due = start + Duration::from_secs(1) * number / per_second;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if told.load(Ordering::Relaxed) {
                    break;
                }
                answers.push(get(&agent, port, path));
                counted.store(answers.len(), Ordering::Relaxed);
            }
            answers
        });
        Self { stop, count, thread }
    }

    /// Answers so far.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All answers.
    pub(super) fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A query of Prometheus as a part of an address.
fn escaped(query: &str) -> String {
    query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22")
}

pub(super) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
    config.http_status_as_error(false).proxy(None).build().into()
}

fn get(agent: &ureq::Agent, port: u16, path: &str) -> Answer {
    let Ok(mut response) = agent.get(format!("http://127.0.0.1:{port}{path}")).call() else {
        return Answer { status: 0, trace_id: String::new(), span_id: String::new() };
    };
    let ids = response.headers().get("traceresponse").map(|value| value.to_str().unwrap().to_owned());
    // Read to its end, so that the connection can be used again.
    let body = response.body_mut().read_to_string();
    let status = if body.is_ok() { response.status().as_u16() } else { 0 };
    let ids = ids.unwrap_or_default();
    let mut parts = ids.split('-').skip(1).map(str::to_owned);
    Answer { status, trace_id: parts.next().unwrap_or_default(), span_id: parts.next().unwrap_or_default() }
}
