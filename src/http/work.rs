//! `/api/work` and `/api/null`.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde::Serialize;
use serde_json::value::RawValue;

use super::App;
use super::params::{Params, decimal, whole};
use super::problem::{Kind, ParameterFault, Problem};
use crate::error::chain;
use crate::names::Section;
use crate::workload::db::PRODUCTS;
use crate::workload::{Done, Failure, Order};

/// The longest latency that can be asked for, in milliseconds; above every sensible request timeout.
const MAX_DB_MS: f64 = 60_000.0;
/// The most iterations that can be asked for: some seconds of one core.
const MAX_LOOP_ITERATIONS: u64 = 10_000_000_000;

const PARAMETERS: &[&str] = &["db_ms", "loop_iterations", "items", "fail"];

/// Reads the parameters; each has a default, so that the bare path works.
fn order(query: &str) -> Result<Order, Vec<ParameterFault>> {
    let mut params = Params::new(query, PARAMETERS);
    let db_ms = params.get("db_ms", 0.0, "a number of milliseconds from 0 to 60000", |text| {
        decimal(text).filter(|ms| *ms <= MAX_DB_MS)
    });
    let loop_iterations = params.get("loop_iterations", 20_000, "a whole number from 0 to 10000000000", |text| {
        whole(text).filter(|n| *n <= MAX_LOOP_ITERATIONS)
    });
    let items = params.get("items", 10, "a whole number from 0 to 10000", |text| {
        whole(text).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= PRODUCTS)
    });
    let fail = params.get("fail", None, "db_query, cpu_loop or json_encode", |text| Section::from_name(text).map(Some));
    params.finish()?;
    Ok(Order { db_latency: Duration::from_secs_f64(db_ms / 1_000.0), loop_iterations, items, fail })
}

/// The answer; the payload comes last, so that people see the rest first.
#[derive(Serialize)]
struct Answer<'a> {
    trace_id: Option<String>,
    items: usize,
    loop_iterations: u64,
    loop_checksum: String,
    section_seconds: SectionSeconds,
    payload: &'a RawValue,
}

#[derive(Serialize)]
struct SectionSeconds {
    db_query: f64,
    cpu_loop: f64,
    json_encode: f64,
}

/// Runs the phases.
pub(super) async fn work(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let order = order(query.as_deref().unwrap_or_default()).map_err(Problem::parameters)?;
    let done = app.workload.run(order).await.map_err(|failure| {
        if !matches!(failure, Failure::Injected(_)) {
            tracing::warn!(error = chain(&failure), "the work failed");
        }
        Problem::from(&failure)
    })?;
    answer(&done).map_err(|_| Problem::new(Kind::EncodingError, "the answer could not be encoded"))
}

fn answer(done: &Done) -> Result<Response, serde_json::Error> {
    let [db_query, cpu_loop, json_encode] = done.seconds;
    let body = serde_json::to_vec(&Answer {
        trace_id: trace_id(),
        items: done.items,
        loop_iterations: done.loop_iterations,
        loop_checksum: format!("{:016x}", done.loop_checksum),
        section_seconds: SectionSeconds { db_query, cpu_loop, json_encode },
        payload: &done.payload,
    })?;
    Ok(json(body))
}

/// Does nothing.
pub(super) async fn null() -> Response {
    json(b"null".as_slice())
}

pub(super) fn json(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The trace of this request; none when the SDK is disabled.
pub(super) fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| ids.trace_id().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_where_they_are_documented() {
        for good in ["", "db_ms=60000", "db_ms=0.5", "loop_iterations=10000000000", "items=10000", "fail=json_encode"] {
            assert!(order(good).is_ok(), "{good}");
        }
        for bad in [
            "db_ms=60000.1",
            "db_ms=-1",
            "db_ms=NaN",
            "db_ms=1e3",
            "db_ms=",
            "loop_iterations=10000000001",
            "loop_iterations=1.5",
            "loop_iterations=99999999999999999999",
            "items=10001",
            "items=4294967297",
            "items=many",
            "fail=",
            "fail=network",
            "unknown=1",
            "items=1&items=1",
            "items=%31%",
            "=1",
            "items",
        ] {
            let faults = order(bad).unwrap_err();
            assert_eq!(faults.len(), 1, "{bad}: {faults:?}");
        }
    }

    #[test]
    fn a_fault_names_parameter_value_and_bound() {
        let faults = order("items=-3").unwrap_err();
        let expected = ("items", "-3", "a whole number from 0 to 10000");
        assert_eq!((faults[0].parameter.as_str(), faults[0].value.as_str(), faults[0].bound.as_str()), expected);
    }
}
