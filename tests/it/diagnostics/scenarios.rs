//! Scenarios over HTTP and from the command line. Catches: scenarios that strangers can start, that do not stop, that
//! leave something behind, bad input that starts something all the same, starts and stops that leave no trace.

use otlp_testkit::proto::common::v1::any_value::Value;
use otlp_testkit::{Receiver, attribute};

use super::Private;
use crate::client::Answer;
use crate::server::run;

impl Private {
    fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &[])
    }
}

#[test]
fn a_scenario_is_started_seen_and_stopped() {
    let private = Private::start(&[]);
    let active: &[&str] = &["scenario_active{", "\"ramp\""];
    let list = private.get("/scenarios").json();
    let ramp = list["scenarios"].as_array().unwrap().iter().find(|one| one["name"] == "ramp").unwrap();
    assert_eq!((&ramp["state"], &ramp["parameters"][0]["default"]), (&"stopped".into(), &"100".into()), "{ramp}");
    assert_eq!((private.value(active), private.value(&["app_tasks_current"])), (0.0, 0.0));

    let started = private.post("/scenarios/ramp?workers=50&duration=5m");
    assert_eq!(started.status, 202, "{started:?}");
    assert_eq!(started.json()["parameters"][0]["value"], "50");
    private.wait_for(&["app_tasks_current"], |workers| workers >= 1.0);
    assert_eq!((private.value(active), private.value(&["app_phase", "increasing"])), (1.0, 1.0));
    private.post("/scenarios/ramp").problem(409, "scenario_running");
    assert_eq!(private.get("/scenarios/ramp").json()["state"], "running");

    let stopped = private.ask("DELETE", "/scenarios/ramp", &[]).json();
    assert_eq!((&stopped["state"], &stopped["last_run"]["outcome"]), (&"stopped".into(), &"stopped".into()));
    let after = ["app_tasks_current", "app_scaling_rate", "phase=\"increasing\"", "phase=\"decreasing\""];
    assert_eq!(after.map(|name| private.value(&[name])), [0.0; 4]);
    assert!(private.value(&["app_tasks_created_total"]) >= 1.0);
    assert_eq!(private.value(active), 0.0);
    assert_eq!(private.ask("DELETE", "/scenarios/ramp", &[]).status, 200);
}

#[test]
fn bad_input_starts_nothing_and_is_explained() {
    let private = Private::start(&[]);
    let document = private.post("/scenarios/ramp?workers=0&duration=2h&speed=9").problem(400, "invalid_parameter");
    let faults = document["parameters"].as_array().unwrap();
    let faults: Vec<_> = faults.iter().map(|fault| fault["parameter"].as_str().unwrap()).collect();
    assert_eq!(faults, ["speed", "workers", "duration"]);
    for method in ["GET", "POST", "DELETE"] {
        let unknown = private.ask(method, "/scenarios/tramp", &[]).problem(404, "not_found");
        assert!(unknown["detail"].as_str().unwrap().contains("ramp"), "{unknown}");
    }
    let put = private.ask("PUT", "/scenarios/ramp", &[]);
    put.problem(405, "method_not_allowed");
    assert_eq!(put.header("allow"), Some("GET, HEAD, POST, DELETE"));
    private.get("/scenarios/ramp?workers=5").problem(400, "invalid_parameter");
    let body = private.ask("POST", "/scenarios/ramp", &[("Content-Length", "9")]);
    body.problem(400, "invalid_parameter");
    let page = [("Origin", "http://stranger.example"), ("Sec-Fetch-Site", "cross-site")];
    for method in ["POST", "DELETE"] {
        private.ask(method, "/scenarios/ramp", &page).problem(403, "origin_not_allowed");
    }
    assert_eq!(private.get("/scenarios/ramp").json()["state"], "stopped");
}

#[test]
fn starts_and_stops_are_short_traces_of_their_own() {
    let receiver = Receiver::start().unwrap();
    let endpoint = receiver.http_endpoint();
    let private = Private::start(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    private.post("/scenarios/ramp?duration=1h");
    // The end of the service stops it.
    private.server.stop();
    let received = receiver.received();
    let spans: Vec<_> = received.spans().into_iter().map(|found| found.span).collect();
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:?}");
        found[0]
    };
    let (start, stop) = (named("scenario start"), named("scenario stop"));
    let is = |span, key, text: &str| assert_eq!(attribute(span, key), Some(&Value::StringValue(text.to_owned())));
    is(&start.attributes, "scenario", "ramp");
    is(&start.attributes, "scenario.parameters", "workers=100 duration=1h");
    is(&stop.attributes, "result", "stopped");
    assert!(start.parent_span_id.is_empty() && stop.parent_span_id.is_empty() && start.trace_id != stop.trace_id);
    assert_eq!((&stop.links[0].trace_id, &stop.links[0].span_id), (&start.trace_id, &start.span_id));
}

#[test]
fn the_command_lists_starts_and_stops() {
    let private = Private::start(&[]);
    let url = format!("http://{}", private.address);
    let command = |arguments: &[&str]| run(&[&["scenario"], arguments, &["--url", &url]].concat(), &[]);
    let list = command(&["list"]);
    assert!(
        list.status.success()
            && list.stdout.contains("workers=100")
            && list.stdout.contains("(1s to 1h)")
            && list.stdout.contains("1 to 10000 workers)"),
        "{list:?}"
    );
    let started = command(&["start", "ramp", "workers=7", "duration=10m"]);
    assert!(started.stdout.starts_with("ramp runs: workers=7 duration=10m\n"), "{started:?}");
    let again = command(&["start", "ramp"]);
    assert!(again.status.code() == Some(1) && again.stderr.contains("409 ramp is running"), "{again:?}");
    let bad = command(&["start", "ramp", "workers=x", "speed=1"]);
    assert!(bad.status.code() == Some(64) && bad.stderr.contains("workers=\"x\""), "{bad:?}");
    assert!(bad.stderr.contains("unknown parameter"), "{bad:?}");
    let stopped = command(&["stop", "ramp"]);
    assert!(stopped.stdout.starts_with("ramp does not run: stopped at 20"), "{stopped:?}");
    let unknown = command(&["stop", "tramp"]);
    assert!(unknown.status.code() == Some(1) && unknown.stderr.contains("known are ramp"), "{unknown:?}");
    let json: serde_json::Value = serde_json::from_str(&command(&["list", "--json"]).stdout).unwrap();
    assert_eq!(json["scenarios"][0]["name"], "ramp");
}
