//! The pages' content for scripts.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::histogram::{Ask, Histogram};
use super::overview::Overview;
use super::pages::trace::find;
use super::store::history::Instrument;
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

/// `/console/api/traces/{trace_id}`.
pub(super) async fn trace(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    json(&find(&app, &uri)?)
}

#[derive(Serialize)]
struct Metrics {
    metrics: Vec<Instrument>,
}

/// `/console/api/metrics`.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    json(&Metrics { metrics: app.console.history.instruments() })
}
