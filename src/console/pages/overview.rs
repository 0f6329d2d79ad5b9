//! How the service does, in one look.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::super::App;
use super::{OVERVIEW, page as frame};

/// `/console/`.
pub(in crate::console) async fn page(State(app): State<Arc<App>>) -> Response {
    let counts = app.console.counts();
    let exemplars = app.console.store.exemplars("http.server.request.duration", &[]);
    let body = html! {
        p { (counts.traces) " traces, " (counts.exemplars) " exemplars, " (counts.bytes) " bytes." }
        ul { @for exemplar in exemplars.iter().rev().take(20) {
            li { a href=(format!("/console/trace/{:032x}", exemplar.trace_id)) { (exemplar.value) " s" } }
        } }
    };
    frame(OVERVIEW, &app.console.service, true, &body)
}
