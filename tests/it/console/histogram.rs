//! From a histogram to a trace, and back to the numbers.

use super::links;
use crate::diagnostics::Private;

#[test]
fn one_request_is_an_exemplar_without_any_collector() {
    let private = Private::start(&[]);
    let (trace_id, _) = private.server.get("/api/work?db_ms=0&loop_iterations=10&items=1").trace();
    let trace = format!("/console/trace/{trace_id}");
    for metric in ["http.server.request.duration", "section.duration"] {
        let address = format!("/console/histogram?metric={metric}");
        let page = private.page(&address, |page| page.contains("<svg") && links(page).contains(&trace));
        assert!(page.contains("<rect class=\"cell\"") || page.contains("None in this time") || page.contains(&trace));
    }
    let page = private.page(&trace, |page| page.contains("GET /api/work") && page.contains("json_encode"));
    assert!(
        page.contains("http.response.status_code") && page.contains(&format!("/debug/traces/{trace_id}")),
        "{page}"
    );
    let document = private.console(&format!("trace/{trace_id}"), |trace| trace["spans"].as_array().unwrap().len() == 4);
    let names: Vec<_> = document["spans"].as_array().unwrap().iter().map(|span| &span["name"]).collect();
    assert_eq!(names, ["GET /api/work", "db_query", "cpu_loop", "json_encode"]);
    assert!(document["spans"].as_array().unwrap().iter().any(|span| span["marked"] == true), "{document}");
    let section = private.console("histogram?metric=section.duration&section=cpu_loop", |found| {
        found["exemplars"].as_array().is_some_and(|exemplars| !exemplars.is_empty())
    });
    let exemplar = &section["exemplars"][0];
    assert_eq!((&exemplar["trace_id"], &exemplar["metric"]), (&trace_id.into(), &"section.duration".into()));
    assert_eq!(exemplar["attributes"], serde_json::json!([["section", "cpu_loop"]]));
}

#[test]
fn counts_are_those_of_the_metrics_page() {
    let private = Private::start(&[]);
    for path in ["/api/null", "/api/null", "/nowhere", "/api/work?db_ms=0&loop_iterations=10&items=1"] {
        private.server.get(path);
    }
    let total = |found: &serde_json::Value| -> u64 {
        found["since_start"][0].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
    };
    // Nothing but what was asked for above is counted: reading /metrics is not.
    private.console("histogram?time=15m", |found| total(found) == 4);
    private.console("histogram?http.route=/api/null", |found| total(found) == 2);
    private.console("histogram?http.response.status_code=404", |found| total(found) == 1);
    let found = private.console("histogram?metric=section.duration&section=json_encode", |found| total(found) == 1);
    let columns = found["counts"].as_array().unwrap().iter().flat_map(|column| column.as_array().unwrap());
    assert_eq!(columns.map(|count| count.as_u64().unwrap()).sum::<u64>(), 1, "and it is in the last minutes");
    let sum: f64 = private.server.series(&["section_duration_seconds_sum", "json_encode"])[0]
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(found["since_start"][1].as_f64().unwrap(), sum);
}

#[test]
fn what_is_asked_wrongly_is_explained() {
    let private = Private::start(&[]);
    let wrong = "metric=nothing&time=1y&section=x&unknown=1";
    for path in ["/console/histogram", "/console/api/histogram"] {
        let document = private.get(&format!("{path}?{wrong}")).problem(400, "invalid_parameter");
        let faults: Vec<_> = document["parameters"].as_array().unwrap().iter().map(|one| &one["parameter"]).collect();
        assert_eq!(faults, ["unknown", "metric", "time", "section"]);
        assert!(document["parameters"][1]["bound"].as_str().unwrap().contains("section.duration"));
    }
    private.get("/console/api/histogram?metric=worker.task.processing.duration").problem(404, "not_found");
    let empty = private.get("/console/histogram?metric=worker.task.processing.duration");
    assert!(empty.status == 200 && empty.body.contains("Nothing has been recorded yet"), "{empty:?}");
    private.ask("POST", "/console/histogram", &[]).problem(405, "method_not_allowed");
}
