//! Exemplar, trace, hottest span, its profile: none of the requests was known to be interesting while it ran.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{LOOP, PATIENCE};
use crate::e2e::lab::{Lab, has_id, wait_for};
use crate::e2e::service::Exemplar;

const SLOW_FROM: f64 = 0.2;
const FAST_BELOW: f64 = 0.005;
const SLOW_WANTED: usize = 10;
const FAST_WANTED: usize = 3;

/// The phases of the work, each a span.
const PHASES: [&str; 3] = ["db_query", "cpu_loop", "json_encode"];

pub(super) fn run(lab: &Lab) {
    let slow = exemplars(lab, r#"section_duration_seconds_bucket{section="cpu_loop"}"#, |value| value >= SLOW_FROM);
    let fast = exemplars(lab, "http_server_request_duration_seconds_bucket", |value| value < FAST_BELOW);
    println!("  {} exemplars of {SLOW_FROM} s and more in cpu_loop, {} of fast requests", slow.len(), fast.len());
    for exemplar in slow.values() {
        slow_request(lab, exemplar);
    }
    let explained = fast.values().filter(|exemplar| fast_request(lab, exemplar)).count();
    // A sample hits one fast request in some ten.
    assert!(explained >= FAST_WANTED, "{explained} of {} fast requests are without samples", fast.len());
}

/// Exemplars by trace, as soon as there are enough.
fn exemplars(lab: &Lab, query: &str, wanted: impl Fn(f64) -> bool) -> BTreeMap<String, Exemplar> {
    let port = lab.stack.config().ports.prometheus;
    let enough = SLOW_WANTED.max(2 * FAST_WANTED);
    let mut found = BTreeMap::new();
    wait_for("there are exemplars", PATIENCE, || {
        let all = lab.exemplars_of(port, query).into_iter().filter(|one| wanted(one.value));
        found = all.map(|one| (one.trace_id.clone(), one)).collect();
        found.len() >= enough
    });
    found
}

/// The span that took longest among the phases of a stored trace.
fn hottest(lab: &Lab, trace_id: &str) -> Value {
    let mut spans = Vec::new();
    let is_phase = |span: &Value| PHASES.iter().any(|phase| span["name"] == *phase);
    wait_for("the trace is stored with its phases", PATIENCE, || {
        spans = lab.spans(trace_id);
        spans.iter().filter(|span| is_phase(span)).count() >= PHASES.len()
    });
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let took = |span: &Value| time(span, "endTimeUnixNano") - time(span, "startTimeUnixNano");
    spans.into_iter().filter(is_phase).max_by_key(took).unwrap()
}

/// The recorder has the trace's samples, most of them in its hottest span and in the loop's function.
fn slow_request(lab: &Lab, exemplar: &Exemplar) {
    let span = hottest(lab, &exemplar.trace_id);
    assert_eq!(span["name"], "cpu_loop", "{exemplar:?}");
    let view = lab.diagnostics(&format!("/debug/traces/{}?format=json", exemplar.trace_id)).json();
    assert!(view["samples"].as_u64() > Some(0), "{exemplar:?}: {view:#}");
    assert_eq!(view["functions"][0]["name"], LOOP, "{exemplar:?}: {view:#}");
    let by_cpu = &view["spans"][0];
    assert_eq!(by_cpu["name"], "cpu_loop", "{exemplar:?}: {view:#}");
    assert!(has_id(&span, by_cpu["span_id"].as_str().unwrap()), "{exemplar:?}: {view:#}\n{span:#}");
    let samples: Vec<_> =
        view["spans"].as_array().unwrap().iter().map(|span| span["samples"].as_u64().unwrap()).collect();
    assert!(samples[0] * 2 > samples.iter().sum(), "{exemplar:?}: {view:#}");
}

/// Says why there are no samples and shows the profile of the requests of the same name; false if there are some.
fn fast_request(lab: &Lab, exemplar: &Exemplar) -> bool {
    let path = format!("/debug/traces/{}", exemplar.trace_id);
    let view = lab.diagnostics(&format!("{path}?format=json")).json();
    if view["samples"].as_u64() > Some(0) {
        return false;
    }
    assert_eq!(view["why"]["reason"], "too_short", "{exemplar:?}: {view:#}");
    assert_eq!(view["why"]["sampled"], true, "its exemplar leads to a stored trace: {view:#}");
    assert!(view["samples_of_name"].as_u64() > Some(0), "{exemplar:?}: {view:#}");
    let name = view["why"]["name"].as_str().unwrap();
    assert_eq!(name, "GET /api/work");
    let page = lab.diagnostics(&path);
    assert_eq!(page.status, 200);
    let text = page.text();
    for part in ["at 99 Hz there is one every 10.1 ms of CPU time", "All requests of this name", "go tool pprof"] {
        assert!(text.contains(part), "{part:?} is not on {text}");
    }
    // The address that the page offers has a profile, and the loop of the slow ones is in it.
    let offered = text.split('"').find(|part| part.contains("profile?") && part.contains("format=svg")).unwrap();
    let graph = lab.diagnostics(&offered.replace("&amp;", "&"));
    assert!(graph.status == 200 && graph.text().contains(LOOP), "{offered}");
    let file = lab.diagnostics(&format!("{path}?format=pprof"));
    assert_eq!(file.status, 404, "{}", file.text());
    true
}
