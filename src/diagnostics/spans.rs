//! `/debug/spans`: which span costs most, in one look.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::App;
use super::answer::Form;
use super::ask::{self, Ask, Format};
use super::pages;
use super::sources::Sources;
use crate::config::duration;
use crate::http::problem::{Kind, ParameterFault, Problem};

/// The table.
#[derive(Debug, Serialize)]
pub(crate) struct Spans {
    /// Samples per second of CPU time.
    pub(crate) hz: u32,
    /// How far back the table reaches, in seconds.
    pub(crate) seconds: f64,
    /// Samples of all spans.
    pub(crate) samples: u64,
    /// CPU time of all spans, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Memory of the recorder and its limit, in bytes.
    pub(crate) bytes: usize,
    pub(crate) bytes_limit: usize,
    /// Most first.
    pub(crate) spans: Vec<SpanRow>,
    /// The recorder's window, as the value of a parameter.
    #[serde(skip)]
    pub(crate) since: String,
}

/// One name.
#[derive(Debug, Serialize)]
pub(crate) struct SpanRow {
    /// Empty outside of any span.
    pub(crate) name: String,
    pub(crate) samples: u64,
    pub(crate) cpu_seconds: f64,
    /// Of the CPU time of all spans, from 0 to 1.
    pub(crate) share: f64,
}

impl Spans {
    /// What the recorder has now.
    pub(crate) fn of(sources: &Sources) -> Result<Self, Problem> {
        let state = sources.recorder()?;
        let rows = sources.spans();
        let total: Duration = rows.iter().map(|row| row.cpu).sum();
        let share = |cpu: Duration| if total.is_zero() { 0.0 } else { cpu.as_secs_f64() / total.as_secs_f64() };
        Ok(Self {
            hz: state.hz,
            since: duration::format(state.window),
            seconds: state.covered.as_secs_f64(),
            samples: rows.iter().map(|row| row.samples).sum(),
            cpu_seconds: total.as_secs_f64(),
            bytes: state.bytes,
            bytes_limit: state.bytes_limit,
            spans: rows
                .into_iter()
                .map(|row| SpanRow {
                    share: share(row.cpu),
                    name: row.name.to_string(),
                    samples: row.samples,
                    cpu_seconds: row.cpu.as_secs_f64(),
                })
                .collect(),
        })
    }
}

/// The table as a page or as JSON.
pub(super) async fn spans(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::read(query.as_deref(), ask::PAGE)?;
    match ask.format {
        Format::Html => Ok(Form::Html.with(pages::spans(&app, &headers, &Spans::of(&app.sources)?).into_string())),
        Format::Json => json(&Spans::of(&app.sources)?),
        _ => Err(Problem::parameters(vec![ParameterFault {
            parameter: "format".to_owned(),
            value: ask.format.name().to_owned(),
            bound: "html or json; /debug/pprof/profile?since=10m has the others".to_owned(),
        }])),
    }
}

/// A document as an answer.
pub(crate) fn json(document: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(document)
        .map_err(|_| Problem::new(Kind::EncodingError, "the answer could not be encoded: please report it"))?;
    Ok(Form::Json.with(body))
}
