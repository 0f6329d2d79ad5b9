//! `/healthz` and `/readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;

use super::App;
use super::problem::Problem;
use crate::error::chain;

/// How long a dependency may take to answer a readiness check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub(super) struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
pub(super) struct Ready {
    status: &'static str,
    database: &'static str,
    export: Exports,
}

/// For information only: without a collector the service still does its work.
#[derive(Serialize)]
struct Exports {
    traces: &'static str,
    metrics: &'static str,
}

/// The process answers.
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// The process can do its work, or what it lacks.
pub(super) async fn ready(State(app): State<App>) -> Result<Json<Ready>, Problem> {
    let database = timeout(CHECK_TIMEOUT, app.workload.database().check()).await;
    let reason = match database {
        Ok(Ok(())) => {
            let export = Exports { traces: app.health.traces().as_str(), metrics: app.health.metrics().as_str() };
            return Ok(Json(Ready { status: "ready", database: "ok", export }));
        }
        Ok(Err(failure)) => {
            tracing::debug!(error = chain(&failure), "the database is not ready");
            failure.to_string()
        }
        Err(_) => format!("no answer within {CHECK_TIMEOUT:?}"),
    };
    Err(Problem::missing(vec!["database"], format!("database: {reason}")))
}
