//! The pages' content for scripts.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::blocking::blocking;
use super::histogram::{Ask, Histogram};
use super::overview::Overview;
use super::search::{self, Search};
use super::store::history::Instrument;
use super::trace::{View, WHY_NOT};
use crate::diagnostics::ask::trace_id_of_path;
use crate::diagnostics::spans::json;
use crate::http::problem::{Kind, Problem};

/// `/console/api/overview`.
pub(super) async fn overview(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    json(&Overview::of(&app))
}

/// `/console/api/histogram`.
pub(super) async fn histogram(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref())?;
    let nothing = || {
        let detail = format!("{} has not recorded anything yet: send the service a request", ask.instrument.name);
        Problem::new(Kind::NotFound, detail)
    };
    json(&Histogram::of(&app, &ask).ok_or_else(nothing)?)
}

/// `/console/api/trace/{id}`.
pub(super) async fn trace(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let trace_id = trace_id_of_path(uri.path().rsplit('/').next().unwrap_or_default())?;
    let nothing = move || Problem::new(Kind::NotFound, format!("trace {trace_id:032x} is not kept here: {WHY_NOT}"));
    blocking(move || View::of(&app, trace_id).ok_or_else(nothing).and_then(|view| json(&view))).await?
}

/// `/console/api/search`.
pub(super) async fn search(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ask = search::Ask::read(query.as_deref(), SystemTime::now());
    if !ask.faults.is_empty() {
        return Err(Problem::parameters(ask.faults));
    }
    blocking(move || json(&Search::of(&app, &ask.query))).await?
}

#[derive(Serialize)]
struct Metrics {
    metrics: Vec<Instrument>,
}

/// `/console/api/metrics`.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    json(&Metrics { metrics: app.console.history.instruments() })
}
