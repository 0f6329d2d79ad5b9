//! `/api/tasks`: the queue.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde::Serialize;

use super::App;
use super::params::{Params, decimal};
use super::problem::{Kind, ParameterFault, Problem};
use super::work::{json, trace_id};
use crate::workload::queue::{CAPACITY, Counts, MAX_WORK, Rejected, WORKERS};

/// What a task takes unless told otherwise.
const WORK_MS: f64 = 50.0;

/// What a sender is told.
#[derive(Serialize)]
struct Accepted {
    trace_id: Option<String>,
    id: u64,
    depth: usize,
}

/// What becomes of all tasks.
#[derive(Serialize)]
struct Shown {
    capacity: usize,
    workers: usize,
    #[serde(flatten)]
    counts: Counts,
}

fn work(query: &str) -> Result<Duration, Vec<ParameterFault>> {
    let mut params = Params::new(query, &["work_ms"]);
    let work_ms = params.get("work_ms", WORK_MS, "a number of milliseconds from 0 to 10000", |text| {
        decimal(text).filter(|ms| *ms <= MAX_WORK.as_secs_f64() * 1_000.0)
    });
    params.finish()?;
    Ok(Duration::from_secs_f64(work_ms / 1_000.0))
}

/// `POST`: sends a task, whose trace is linked to this request.
pub(super) async fn submit(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let work = work(query.as_deref().unwrap_or_default()).map_err(Problem::parameters)?;
    let request = Context::map_current(|context| context.span().span_context().clone());
    let queue = app.workload.queue();
    let id = queue.submit(work, request).map_err(|rejected| match rejected {
        Rejected::Full { empty_in } => {
            let detail = format!("{CAPACITY} tasks wait already, and this one was not accepted: send it again later");
            // Whole seconds are all that the header knows.
            Problem::new(Kind::QueueFull, detail).retry_after(empty_in.as_secs() + 1)
        }
        Rejected::Closed => Problem::new(Kind::NotReady, "the service is stopping, and this task was not accepted"),
    })?;
    let accepted = Accepted { trace_id: trace_id(), id, depth: queue.counts().depth };
    let body = serde_json::to_vec(&accepted)
        .map_err(|_| Problem::new(Kind::EncodingError, "the answer could not be encoded"))?;
    Ok((StatusCode::ACCEPTED, json(body)).into_response())
}

/// `GET`: the counts.
pub(super) async fn counts(State(app): State<App>) -> Result<Response, Problem> {
    let shown = Shown { capacity: CAPACITY, workers: WORKERS, counts: app.workload.queue().counts() };
    let body =
        serde_json::to_vec(&shown).map_err(|_| Problem::new(Kind::EncodingError, "the answer could not be encoded"))?;
    Ok(json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_where_they_are_documented() {
        assert_eq!(work("").unwrap(), Duration::from_millis(50));
        assert_eq!(work("work_ms=10000").unwrap(), MAX_WORK);
        for bad in ["work_ms=10000.1", "work_ms=-1", "work_ms=", "work_ms=x", "other=1", "work_ms=1&work_ms=1"] {
            assert_eq!(work(bad).unwrap_err().len(), 1, "{bad}");
        }
    }
}
