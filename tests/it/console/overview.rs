//! The overview and its switches.

use super::links;
use crate::client::{Answer, send};
use crate::diagnostics::Private;

impl Private {
    /// Sends a form as a browser does.
    fn form(&self, path: &str, origin: &str, body: &str) -> Answer {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:6060\r\nConnection: close\r\nOrigin: {origin}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Answer::read(&mut send(self.address, request.as_bytes()))
    }
}

const OURS: &str = "http://localhost:6060";

#[test]
fn routes_and_phases_have_numbers_and_lead_to_their_histograms() {
    let private = Private::start(&[]);
    for _ in 0..3 {
        private.server.get("/api/work?db_ms=0&loop_iterations=10&items=1");
    }
    private.server.get("/api/work?fail=cpu_loop");
    let overview = private.console("overview", |found| found["requests"]["count"] == 4);
    let work = &overview["routes"][0];
    assert_eq!(work["attributes"][1], serde_json::json!(["http.route", "/api/work"]));
    assert_eq!((&work["count"], &work["errors"]), (&4.into(), &0.25.into()), "{work}");
    assert!(work["rate"].as_f64().unwrap() > 0.0 && work["p99"].as_f64().unwrap() > 0.0, "{work}");
    let sections: Vec<_> =
        overview["sections"].as_array().unwrap().iter().map(|one| &one["attributes"][0][1]).collect();
    assert_eq!(sections, ["cpu_loop", "db_query", "json_encode"]);
    assert!(overview["store"]["traces"].as_u64().unwrap() >= 1);

    let page = private.get("/console/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let addresses = links(&page.body);
    assert!(addresses.iter().any(|link| link.starts_with("/console/histogram?") && link.contains("http.route=")));
    for link in addresses.iter().filter(|link| link.starts_with('/') && !link.contains("pprof")) {
        assert_eq!(private.get(link).status, 200, "{link}");
    }
    assert!(addresses.iter().all(|link| link.starts_with('/') || link == "data:," || link.starts_with('#')));
    assert!(!page.body.contains("style=") && !page.body.contains("onclick"), "the policy would refuse it");
}

#[test]
fn a_scenario_is_started_and_stopped_by_a_form_of_ours_alone() {
    let private = Private::start(&[]);
    let state = || private.get("/scenarios/ramp").json()["state"].clone();
    let page = private.get("/console/").body;
    assert!(page.contains("action=\"/console/scenarios/ramp\"") && page.contains("value=\"start\""), "{page}");
    for origin in ["http://stranger.example", "null"] {
        private.form("/console/scenarios/ramp", origin, "action=start").problem(403, "origin_not_allowed");
    }
    private.form("/console/scenarios/ramp", OURS, "action=explode").problem(400, "invalid_parameter");
    private.form("/console/scenarios/ramp", OURS, "").problem(400, "invalid_parameter");
    private.form("/console/scenarios/tramp", OURS, "action=start").problem(404, "not_found");
    private.get("/console/scenarios/ramp").problem(405, "method_not_allowed");
    assert_eq!(state(), "stopped");

    let started = private.form("/console/scenarios/ramp", OURS, "action=start");
    assert_eq!((started.status, started.header("location")), (303, Some("/console/")));
    assert_eq!(state(), "running");
    let running = private.get("/console/").body;
    assert!(running.contains("aria-label=\"stop ramp\""), "{running}");
    private.form("/console/scenarios/ramp", OURS, "action=start").problem(409, "scenario_running");
    assert_eq!(private.form("/console/scenarios/ramp", OURS, "action=stop").status, 303);
    assert_eq!(state(), "stopped");
    // A browser sends the origin of a form only where the page allows it to be known.
    assert_eq!(private.get("/console/").header("referrer-policy"), Some("same-origin"));
    assert_eq!(private.get("/debug/pprof/").header("referrer-policy"), Some("no-referrer"));
}
