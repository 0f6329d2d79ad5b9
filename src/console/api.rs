//! The pages' content for scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::App;
use super::store::Counts;

/// `/console/api/overview`.
pub(super) async fn overview(State(app): State<Arc<App>>) -> Json<Counts> {
    Json(app.console.counts())
}
