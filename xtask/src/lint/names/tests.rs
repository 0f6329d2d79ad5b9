//! Guards that each kind of wrong name is found, and that no right one is.

use serde_json::json;

use super::*;

fn known() -> Known {
    Known::new(
        "app.queue.depth Gauge app_queue_depth\n\
         worker.active.tasks Gauge worker_active_tasks worker_type\n\
         section.duration Histogram section_duration_seconds_bucket section,le\n",
    )
    .unwrap()
}

/// A selector as Prometheus takes it apart.
fn selector(name: &str, labels: &[&str]) -> Value {
    let matchers: Vec<_> = labels.iter().map(|label| json!({"name": label, "type": "=", "value": "x"})).collect();
    json!({"type": "vectorSelector", "name": name, "matchers": matchers})
}

fn faults(node: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    known().labels(node, &mut faults);
    faults
}

#[test]
fn a_selector_names_what_exists_and_whose_it_is() {
    assert!(faults(&selector("app_queue_depth", &["service_name"])).is_empty());
    assert!(faults(&selector("worker_active_tasks", &["service_name", "worker_type"])).is_empty());
    assert!(faults(&selector("up", &["job"])).is_empty());
    assert_eq!(faults(&selector("app_queue", &["service_name"])), ["nothing emits app_queue"]);
    assert_eq!(
        faults(&selector("app_queue_depth", &["service_name", "worker_type"])),
        ["app_queue_depth has no label worker_type"]
    );
    assert_eq!(
        faults(&selector("app_queue_depth", &[])),
        ["app_queue_depth is selected without service_name: others have series of this name, too"]
    );
    assert!(faults(&selector("up", &[]))[0].contains("without job"));
}

#[test]
fn labels_are_followed_through_an_expression() {
    let sum = |by: &[&str], expr: Value| json!({"type": "aggregation", "op": "sum", "grouping": by, "expr": expr});
    let inner = sum(&["section"], selector("section_duration_seconds_bucket", &["service_name"]));
    assert!(faults(&inner).is_empty());
    let outer = sum(&["le"], inner);
    assert_eq!(faults(&outer), ["nothing below `sum by` has the label le"]);
    let on = json!({
        "type": "binaryExpr", "op": "/", "matching": {"card": "one-to-one", "on": true, "labels": ["worker_type"]},
        "lhs": selector("worker_active_tasks", &["service_name"]), "rhs": selector("app_queue_depth", &["service_name"]),
    });
    assert_eq!(faults(&on), ["`on (worker_type)`: not both sides have this label"]);
    assert!(faults(&json!({"type": "somethingNew"}))[0].contains("does not know"));
}

#[test]
fn what_a_rule_records_is_known_with_its_labels_and_needs_no_owner() {
    let mut known = known();
    known.record("service:tasks", BTreeSet::from(["service_name".to_owned()]));
    let mut faults = Vec::new();
    known.labels(&selector("service:tasks", &[]), &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    known.labels(&selector("service:tasks", &["section"]), &mut faults);
    assert_eq!(faults, ["service:tasks has no label section"]);
}

#[test]
fn words_of_a_known_family_that_name_nothing_are_strangers() {
    let known = known();
    assert!(known.strangers("section_duration_seconds worker_type app_* db_ms=20 some_word app.rs").is_empty());
    assert_eq!(
        known.strangers("app_goroutines, worker_gc_runs_total and app_x*"),
        ["app_goroutines", "worker_gc_runs_total", "app_x*"]
    );
}
