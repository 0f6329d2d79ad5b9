//! Guards that a wrong name is found wherever it stands: in a rule, in what an alert says, in a document, in a runbook.

use serde_json::json;

use super::*;

const RUNBOOK: &str = "docs/runbooks/TaskCountHigh.md";

fn known() -> Known {
    Known::new("app.queue.depth Gauge app_queue_depth\n").unwrap()
}

/// What Prometheus gives for a selector, which is all that these queries are.
fn parse(query: &str) -> anyhow::Result<Value> {
    let (name, rest) = query.split_once('{').unwrap_or((query, ""));
    let labels = rest.trim_end_matches('}').split(',').filter_map(|matcher| Some(matcher.split_once('=')?.0));
    let matchers: Vec<_> = labels.map(|label| json!({"name": label, "type": "=", "value": "x"})).collect();
    if query.contains("][") {
        bail!("parse error");
    }
    Ok(json!({"type": "vectorSelector", "name": name, "matchers": matchers}))
}

fn of_rule(query: &str, summary: &str, runbook: &str) -> Vec<String> {
    let annotations = json!({"summary": summary, "description": "d", "runbook": runbook});
    let rule = json!({
        "name": "A", "type": "alerting", "query": query, "labels": {"severity": "warning"}, "annotations": annotations,
    });
    rule_faults(&crate::repo(), &rule, &known(), &parse).unwrap()
}

#[test]
fn a_rule_may_name_only_what_is_emitted_and_must_say_whose_it_is() {
    let good = "app_queue_depth{service_name=\"x\"}";
    assert!(of_rule(good, "{{ $labels.service_name }}", RUNBOOK).is_empty());
    for (query, summary, runbook, fault) in [
        ("app_queue_size{service_name=\"x\"}", "s", RUNBOOK, "nothing emits app_queue_size"),
        ("app_queue_depth{service_name=\"x\",room=\"y\"}", "s", RUNBOOK, "app_queue_depth has no label room"),
        ("app_queue_depth", "s", RUNBOOK, "app_queue_depth is selected without service_name"),
        ("up", "s", RUNBOOK, "up is selected without job"),
        (good, "{{ $labels.room }}", RUNBOOK, "its summary shows the label room"),
        (good, "", RUNBOOK, "it has no summary"),
        (good, "s", "docs/runbooks/Gone.md", "there is no runbook"),
    ] {
        let faults = of_rule(query, summary, runbook);
        assert_eq!(faults.len(), 1, "{query}: {faults:?}");
        assert!(faults[0].starts_with(&format!("rule \"A\": {fault}")), "{faults:?}");
    }
}

#[test]
fn a_document_and_a_runbook_may_name_only_what_is_emitted() {
    for place in ["docs/queries.md", RUNBOOK] {
        let faults = |text: &str| document_faults(place, text, &known(), &parse);
        let query = |query: &str| faults(&format!("Text\n```promql\n{query}\n```\n"));
        assert!(query("app_queue_depth{service_name=\"x\"}").is_empty());
        assert_eq!(query("app_gone{service_name=\"x\"}"), [format!("{place}:3: nothing emits app_gone")]);
        let label = query("app_queue_depth{service_name=\"x\",room=\"y\"}");
        assert_eq!(label, [format!("{place}:3: app_queue_depth has no label room")]);
        assert!(query("app_queue_depth")[0].contains("without service_name"));
        assert_eq!(query("app_queue_depth]["), [format!("{place}:3: parse error")]);
        assert_eq!(faults("See `app_queue_size`.\n"), [format!("{place}:1: nothing emits app_queue_size")]);
    }
}
