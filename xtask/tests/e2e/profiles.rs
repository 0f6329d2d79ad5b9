//! From an exemplar to the profile of its hottest span, after the fact; and profiles read by others.
//!
//! All on one stack under load: [`after_the_fact`] is the way of somebody who looks at yesterday's slow request, [`foreign`]
//! has every kind of profile read by `go tool pprof` and Perfetto's schema, [`limits`] asks for two at once.

mod after_the_fact;
mod foreign;
mod limits;

use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{Lab, Options};
use super::service::{Answer, FAST, Traffic, agent};

/// A request whose loop takes 0.3 s on a core of its own; nobody has one here.
const SLOW: &str = "/api/work?db_ms=1&loop_iterations=120000000&items=10";

/// A request that has no time on a core but is there whenever somebody looks at the tasks.
const WAITING: &str = "/api/work?db_ms=3000&loop_iterations=1&items=1";

/// The function that the loop's time goes to.
const LOOP: &str = "phaselab::workload::cpu::checksum";

/// Exemplars come with each export, one for each series and bucket: more exports, more exemplars.
const ENV: [(&str, &str); 5] = [
    ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "1500"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
    ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "2s"),
    // Other stacks on this machine may have processes at the default addresses.
    ("PHASELAB_DIAGNOSTICS_PEERS", "none"),
];

/// Requests that keep two cores busy most of the time.
struct Load([Traffic; 3]);

impl Load {
    fn start(lab: &Lab) -> Self {
        Self([Traffic::start(lab, SLOW, 2), Traffic::start(lab, FAST, 30), Traffic::start(lab, WAITING, 1)])
    }

    fn stop(self) -> [Vec<Answer>; 3] {
        self.0.map(Traffic::stop)
    }
}

/// What is done on the one stack.
type Part = fn(&Lab);

#[test]
fn a_slow_request_is_profiled_after_the_fact_and_others_read_its_profile() {
    let lab = Lab::start(Options { env: &ENV, serve: true, ..Options::default() });
    let load = Load::start(&lab);
    let parts: [(&str, Part); 5] = [
        ("after the fact", after_the_fact::run),
        ("go tool pprof", foreign::go_tool_pprof),
        ("perfetto", foreign::perfetto),
        ("phaselab profile", foreign::our_command),
        ("two at once", limits::run),
    ];
    for (name, part) in parts {
        let start = Instant::now();
        part(&lab);
        println!("  {name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    for answers in load.stop() {
        assert!(answers.iter().all(|answer| answer.status == 200), "a request failed while profiles were taken");
    }
    lab.print_resident();
}

/// What the diagnostics answer.
struct Page {
    status: u16,
    retry_after: Option<u64>,
    body: Vec<u8>,
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Lab {
    fn diagnostics_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.stack.config().ports.diagnostics)
    }

    fn diagnostics(&self, path: &str) -> Page {
        let mut response = agent().get(self.diagnostics_url(path)).call().unwrap();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        let body = response.body_mut().read_to_vec().unwrap();
        Page { status: response.status().as_u16(), retry_after, body }
    }
}

/// Long enough for a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(60);
