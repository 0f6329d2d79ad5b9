//! `/scenarios`: what can be switched on, and the switch.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{App, Sources};
use crate::http::params::Params;
use crate::http::problem::{Kind, Problem};
use crate::workload::scenarios::{ALL, Parameter, Refused, Scenario, Scenarios, Status, Unit, Values};

/// The list.
#[derive(Serialize)]
struct List {
    scenarios: Vec<Shown>,
}

/// A scenario. Values stand as they are written in a query.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) running_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRun>,
    parameters: Vec<ShownParameter>,
}

#[derive(Debug, Serialize)]
struct LastRun {
    outcome: &'static str,
    ended: String,
}

#[derive(Debug, Serialize)]
struct ShownParameter {
    name: &'static str,
    about: &'static str,
    unit: &'static str,
    default: String,
    min: String,
    max: String,
    /// Of the run, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl Shown {
    /// All scenarios of a process; none where it has none.
    pub(crate) fn all(sources: &Sources) -> Vec<Self> {
        sources.scenarios().map(|of| of.statuses().into_iter().map(Self::from).collect()).unwrap_or_default()
    }
}

impl From<Status> for Shown {
    fn from(status: Status) -> Self {
        let parameter = |one: &Parameter| ShownParameter {
            name: one.name,
            about: one.about,
            unit: match one.unit {
                Unit::Time => "duration",
                Unit::Of(unit) => unit,
            },
            default: one.write(one.default),
            min: one.write(one.min),
            max: one.write(one.max),
            value: status.since.is_some().then(|| one.write(status.values.get(one))),
        };
        Self {
            name: status.scenario.name,
            summary: status.scenario.summary,
            state: status.state.name(),
            running_since: status.since.map(time),
            last_run: status.last.map(|last| LastRun { outcome: last.outcome.name(), ended: time(last.ended) }),
            parameters: status.scenario.parameters.iter().map(parameter).collect(),
        }
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// `GET /scenarios`.
pub(super) async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    values(&[], query.as_deref())?;
    Ok(Json(List { scenarios: of(&app.sources)?.statuses().into_iter().map(Shown::from).collect() }).into_response())
}

/// `GET /scenarios/{name}`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    values(&[], query.as_deref())?;
    let status = of(&app.sources)?.status(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(Shown::from(status)).into_response())
}

/// `POST /scenarios/{name}`: starts it, with the parameters of the query.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    // Parameters in a body would be ignored, and the scenario would not be the one that was asked for.
    if !body.is_end_stream() {
        let detail = format!(
            "the body is not read: write the parameters into the address, as in /scenarios/{name}?duration=30s"
        );
        return Err(Problem::new(Kind::InvalidParameter, detail));
    }
    let status = start_with(&app.sources, &name, query.as_deref())?;
    Ok((StatusCode::ACCEPTED, Json(Shown::from(status))).into_response())
}

/// Starts a scenario with the parameters of a query.
///
/// # Errors
/// What is wrong with them, or why it does not start.
pub(crate) fn start_with(sources: &Sources, name: &str, query: Option<&str>) -> Result<Status, Problem> {
    let scenarios = of(sources)?;
    let scenario = find(name)?;
    let values = values(scenario.parameters, query)?;
    scenarios.start(scenario, values).map_err(|refused| match refused {
        Refused::Running => {
            let detail = format!("{name} is running: stop it first with DELETE /scenarios/{name}, or wait for its end");
            Problem::new(Kind::ScenarioRunning, detail)
        }
        Refused::Closed => Problem::new(Kind::NotReady, "the service is stopping"),
    })
}

/// `DELETE /scenarios/{name}`: stops it, and answers when it is undone. One that does not run is left alone.
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    values(&[], query.as_deref())?;
    Ok(Json(Shown::from(stopped(&app.sources, &name).await?)).into_response())
}

/// Stops a scenario, and returns when it is undone.
///
/// # Errors
/// When there is no such scenario.
pub(crate) async fn stopped(sources: &Sources, name: &str) -> Result<Status, Problem> {
    of(sources)?.stop(name).await.ok_or_else(|| unknown(name))
}

fn of(sources: &Sources) -> Result<&Scenarios, Problem> {
    sources.scenarios().ok_or_else(|| Problem::new(Kind::NotSupported, "this process has no scenarios"))
}

fn find(name: &str) -> Result<&'static Scenario, Problem> {
    ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
    Problem::new(Kind::NotFound, format!("there is no scenario {name:?}: known are {}", known.join(", ")))
}

/// Reads the parameters, and finds everything that is wrong with them.
fn values(parameters: &[Parameter], query: Option<&str>) -> Result<Values, Problem> {
    let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let mut params = Params::new(query.unwrap_or_default(), &known);
    let mut values = Values::default();
    for one in parameters {
        values.set(one, params.get(one.name, one.default, &one.bound(), |text| one.parse(text)));
    }
    params.finish().map_err(Problem::parameters)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_every_scenario_is_read_within_its_bounds() {
        for scenario in ALL {
            for one in scenario.parameters {
                let read =
                    |value: u64| values(scenario.parameters, Some(&format!("{}={}", one.name, one.write(value))));
                assert_eq!(read(one.max).unwrap().get(one), one.max, "{}: {}", scenario.name, one.name);
                assert_eq!(read(one.min).unwrap().get(one), one.min, "{}: {}", scenario.name, one.name);
                let problem = read(one.max + 1).unwrap_err();
                assert!(problem.detail().contains(&one.bound()), "{}", problem.detail());
            }
        }
    }
}
