//! Against a Prometheus that answers as the real one does. Catches: verdicts that a missing answer makes good, bounds that do
//! not count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::check::{Bounds, Subject};
use super::report::{Report, Verdict};
use super::{Settings, round};
use crate::verify::ask::AskError;
use crate::verify::fake::serve;

const BOUNDS: Bounds = Bounds { tasks: 10.0, memory: 1e6, cpu: 0.5, messages: 100.0, bandwidth: 1e6, errors: 0.1 };

/// Answers by a word of the query; no word is no series.
type Answers = Vec<(&'static str, Value)>;

async fn answer(
    State(answers): State<Arc<Answers>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let result =
        answers.iter().find(|(word, _)| query["query"].contains(word)).map_or(json!([]), |(_, one)| one.clone());
    if result == "refused" {
        let error = json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
        return (StatusCode::BAD_REQUEST, Json(error));
    }
    (StatusCode::OK, Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}})))
}

fn series(values: &[(&str, &str)]) -> Value {
    values.iter().map(|(name, value)| json!({"metric": {"name": name}, "value": [1_700_000_000.5, value]})).collect()
}

/// Everything is just healthy, but for what `changed` says.
async fn ask(changed: Answers) -> Result<Report, AskError> {
    let sound = [
        ("tokio_tasks_alive", "9.99"),
        ("jemalloc_active_bytes", "-1e9"),
        ("process_cpu_time", "0.49"),
        ("websocket_messages", "0"),
        ("websocket_bytes", "999999"),
        ("websocket_connection_errors", "0.099"),
        ("ALERTS", "0"),
        ("(up)", "0"),
        ("verify_exemplars", "0"),
    ];
    let sound = sound.into_iter().map(|(word, value)| (word, series(&[("a", value)])));
    let answers: Answers = changed.into_iter().chain(sound).collect();
    let router = Router::new().route("/api/v1/query", get(answer)).with_state(Arc::new(answers));
    let settings = Settings {
        prometheus_url: serve(router).await,
        service: "phaselab".to_owned(),
        checks: Subject::ALL.map(|subject| subject.check("phaselab", &BOUNDS)).into(),
        timeout: Duration::from_secs(10),
    };
    round(&settings).await
}

#[tokio::test]
async fn all_below_their_bounds_is_healthy() {
    let report = ask(Vec::new()).await.unwrap();
    let findings: Vec<_> = report.checks.iter().map(|one| (one.check, one.verdict)).collect();
    assert_eq!(findings, Subject::ALL.map(|subject| (subject.name(), Verdict::Healthy)));
    assert_eq!((report.verdict, report.exit_code()), (Verdict::Healthy, 0));
}

#[tokio::test]
async fn each_check_alone_can_tell() {
    for (subject, word, at_bound) in [
        (Subject::Tasks, "tokio_tasks_alive", "10"),
        (Subject::Memory, "jemalloc_active_bytes", "1e6"),
        (Subject::Cpu, "process_cpu_time", "0.5"),
        (Subject::Messages, "websocket_messages", "100"),
        (Subject::Bandwidth, "websocket_bytes", "+Inf"),
        (Subject::Errors, "websocket_connection_errors", "NaN"),
        (Subject::Alerts, "ALERTS", "1"),
        (Subject::Targets, "(up)", "1"),
        (Subject::Exemplars, "verify_exemplars", "1"),
    ] {
        // The other series is healthy, before and after.
        let answer = series(&[("good", "-1"), ("bad", at_bound), ("fine", "-2")]);
        let report = ask(vec![(word, answer)]).await.unwrap();
        let wrong: Vec<_> = report.checks.iter().filter(|one| one.verdict != Verdict::Healthy).collect();
        assert_eq!((wrong.len(), wrong[0].check, wrong[0].verdict), (1, subject.name(), Verdict::Unhealthy));
        assert_eq!((wrong[0].culprits.len(), wrong[0].culprits[0]["name"].as_str()), (1, "bad"));
        assert_eq!(report.exit_code(), 1);
    }
}

#[tokio::test]
async fn no_data_is_not_healthy_and_hides_nothing() {
    let report = ask(vec![("process_cpu_time", json!([]))]).await.unwrap();
    assert_eq!((report.checks[2].verdict, report.checks[2].value), (Verdict::NoData, None));
    assert_eq!((report.verdict, report.exit_code()), (Verdict::NoData, 2));
    let report = ask(vec![("process_cpu_time", json!([])), ("ALERTS", series(&[("a", "3")]))]).await.unwrap();
    assert_eq!((report.verdict, report.exit_code()), (Verdict::Unhealthy, 1));
}

#[tokio::test]
async fn a_query_that_is_refused_is_no_verdict() {
    let refused = ask(vec![("tokio_tasks_alive", json!("refused"))]).await.unwrap_err();
    assert!(
        refused.to_string().contains("400 Bad Request") && refused.to_string().contains("parse error"),
        "{refused}"
    );
}
