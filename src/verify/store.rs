//! The trace stores: Tempo and Jaeger behind one question.

use std::future::Future;

use reqwest::StatusCode;
use serde::Deserialize;

use super::ask::{AskError, Client};
use super::trace::{Trace, TracesData};
use crate::error::chain;

/// Answers for a trace by its id.
pub trait TraceStore: Send + Sync + 'static {
    /// The trace with this id (32 hex digits), or `None` when the store holds no span of it.
    ///
    /// # Errors
    /// When the store cannot be asked, or says something that its API does not describe.
    fn trace(&self, id: &str) -> impl Future<Output = Result<Option<Trace>, AskError>> + Send;
}

/// The programs that can hold the traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grafana Tempo.
    Tempo,
    /// Jaeger.
    Jaeger,
}

/// Which store to ask, and where each would be.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The kind, or `None` to find out.
    pub kind: Option<Kind>,
    /// Base address of Tempo.
    pub tempo_url: String,
    /// Base address of Jaeger's query service.
    pub jaeger_url: String,
}

/// A store that answered.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    kind: Kind,
    url: String,
}

/// Finds the store of `choice`; of two that answer, Tempo wins.
///
/// # Errors
/// When none answers.
pub async fn find(client: &Client, choice: &Choice) -> Result<Store, AskError> {
    let kinds = choice.kind.map_or(vec![Kind::Tempo, Kind::Jaeger], |kind| vec![kind]);
    let mut errors = Vec::new();
    for kind in kinds {
        let url = match kind {
            Kind::Tempo => choice.tempo_url.clone(),
            Kind::Jaeger => choice.jaeger_url.clone(),
        };
        let store = Store { client: client.clone(), kind, url };
        match store.probe().await {
            Ok(()) => return Ok(store),
            Err(error) => errors.push(chain(&error)),
        }
    }
    Err(AskError::NoStore(errors.join("; ")))
}

impl Store {
    /// What it is and where, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Tempo => "tempo",
            Kind::Jaeger => "jaeger",
        };
        format!("{kind} at {}", self.url)
    }

    /// Whether the program at the address is of this kind: any web server may answer 200 to a path it does not know.
    async fn probe(&self) -> Result<(), AskError> {
        match self.kind {
            Kind::Tempo => {
                let answer = self.client.get(&self.url, "/api/echo", &[]).await?.ok()?;
                if answer.body.trim_ascii() != b"echo" {
                    return Err(answer.unexpected("Tempo says echo".to_owned()));
                }
            }
            Kind::Jaeger => {
                let answer = self.client.get(&self.url, "/api/v3/services", &[]).await?.ok()?;
                let services: serde_json::Value = answer.json()?;
                // A Jaeger that has seen no service yet leaves the list out.
                let empty = services.as_object().is_some_and(serde_json::Map::is_empty);
                if !empty && services.get("services").is_none() {
                    return Err(answer.unexpected("Jaeger lists services".to_owned()));
                }
            }
        }
        Ok(())
    }
}

/// Tempo wraps a trace in `trace`; for an unknown id it answers 200 with an empty one.
#[derive(Deserialize)]
struct TempoAnswer {
    trace: Option<TracesData>,
}

/// Jaeger wraps it in `result`, and may send several of these one after the other.
#[derive(Deserialize)]
struct JaegerAnswer {
    result: TracesData,
}

impl TraceStore for Store {
    async fn trace(&self, id: &str) -> Result<Option<Trace>, AskError> {
        let path = match self.kind {
            Kind::Tempo => format!("/api/v2/traces/{id}"),
            Kind::Jaeger => format!("/api/v3/traces/{id}"),
        };
        let answer = self.client.get(&self.url, &path, &[]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.ok()?;
        let mut trace = Trace::default();
        match self.kind {
            Kind::Tempo => {
                let found: TempoAnswer = answer.json()?;
                trace.add(found.trace.unwrap_or_default()).map_err(|what| answer.unexpected(what))?;
            }
            Kind::Jaeger => {
                for part in serde_json::Deserializer::from_slice(&answer.body).into_iter::<JaegerAnswer>() {
                    let part = part.map_err(|error| answer.unexpected(error.to_string()))?;
                    trace.add(part.result).map_err(|what| answer.unexpected(what))?;
                }
            }
        }
        // The status says nothing: only spans make a trace.
        Ok((!trace.spans.is_empty()).then_some(trace))
    }
}
