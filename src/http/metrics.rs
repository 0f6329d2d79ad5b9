//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use otel_exemplars::Exposition;
use tokio::sync::Semaphore;

use super::problem::{Kind, Problem};

/// Pages that are written at once. Each takes a blocking thread and holds a page; further scrapes wait.
const CONCURRENT_SCRAPES: usize = 4;

/// The page, and the bound on its writers.
#[derive(Debug, Clone)]
pub(super) struct Scrape {
    exposition: Option<Exposition>,
    writers: Arc<Semaphore>,
}

impl Scrape {
    pub(super) fn new(exposition: Option<Exposition>) -> Self {
        Self { exposition, writers: Arc::new(Semaphore::new(CONCURRENT_SCRAPES)) }
    }
}

/// Writes the page in the format that `Accept` asks for.
pub(super) async fn metrics(State(scrape): State<Scrape>, headers: HeaderMap) -> Result<Response, Problem> {
    let disabled = || Problem::new(Kind::NotFound, "the SDK is disabled by OTEL_SDK_DISABLED: there are no metrics");
    let exposition = scrape.exposition.ok_or_else(disabled)?;
    let accept: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = (!accept.is_empty()).then(|| accept.join(","));
    let writer = scrape.writers.acquire_owned().await;
    let render = move || {
        let _writer = writer;
        exposition.render(accept.as_deref())
    };
    let failed = |detail: &str| Problem::new(Kind::EncodingError, detail);
    let page = tokio::task::spawn_blocking(render)
        .await
        .map_err(|_| failed("writing the metrics panicked"))?
        .map_err(|_| Problem::new(Kind::NotReady, "the metrics are shut down"))?;
    Ok(([(header::CONTENT_TYPE, page.content_type)], page.body).into_response())
}
