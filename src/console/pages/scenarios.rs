//! The switches of the scenarios.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::super::App;
use super::OVERVIEW;
use crate::diagnostics::scenarios::{start_with, stopped};
use crate::http::params::Params;
use crate::http::problem::{ParameterFault, Problem};

/// `POST /console/scenarios/{name}`: starts or stops it, and leads back to the overview. Pages of other origins were
/// turned away before.
pub(in crate::console) async fn switch(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    form: String,
) -> Result<Redirect, Problem> {
    let params = Params::new(&form, &["action"]);
    let action = params.given("action").unwrap_or_default().to_owned();
    params.finish().map_err(Problem::parameters)?;
    match action.as_str() {
        "start" => start_with(&app.sources, &name, None)?,
        "stop" => stopped(&app.sources, &name).await?,
        other => {
            let fault = ParameterFault {
                parameter: "action".to_owned(),
                value: other.chars().take(32).collect(),
                bound: "start or stop, in the form that is sent".to_owned(),
            };
            return Err(Problem::parameters(vec![fault]));
        }
    };
    Ok(Redirect::to(OVERVIEW.path))
}
