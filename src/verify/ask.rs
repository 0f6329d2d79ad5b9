//! An HTTP client that never waits or reads without a limit.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;

/// Largest answer that is read. Prometheus keeps 100,000 exemplars in all, about 300 bytes each as JSON.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The client could not be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The backend could not be reached, or broke off.
    #[error("cannot ask {url}")]
    Unreachable {
        /// The address asked.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The backend answered with a failure.
    #[error("{url} answered {status}: {body}")]
    Status {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of the answer.
        body: String,
    },
    /// The answer is longer than what the client reads.
    #[error("{url} answered with more than {limit} bytes: ask for a shorter time range, or another address")]
    TooLong {
        /// The address asked.
        url: String,
        /// What the client reads.
        limit: usize,
    },
    /// The answer is not what the backend's API describes.
    #[error("{url} answered with something else than expected: {what}")]
    Unexpected {
        /// The address asked.
        url: String,
        /// What was expected or found.
        what: String,
    },
    /// No trace store answered.
    #[error("found no trace store: {0}; start one, or say where with --tempo-url or --jaeger-url")]
    NoStore(String),
}

/// A client with a limit on the time and the length of every answer.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    max_bytes: usize,
}

/// A status and a body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The address asked, for messages.
    pub url: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says it is.
    pub content_type: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client whose every question is answered within `timeout`, or failed.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(timeout: Duration) -> Result<Self, AskError> {
        Self::accepting(timeout, "*/*", MAX_ANSWER_BYTES)
    }

    /// The same for answers of the type `accept` and of at most `max_bytes`.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn accepting(timeout: Duration, accept: &'static str, max_bytes: usize) -> Result<Self, AskError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        // A proxy or a redirect would have another backend answer than the one that was named.
        let builder = reqwest::Client::builder().timeout(timeout).no_proxy().redirect(Policy::none());
        let http = builder.default_headers(headers).build().map_err(AskError::Client)?;
        Ok(Self { http, max_bytes })
    }

    /// Asks `base` + `path`, with `query` percent-encoded behind it; any status is an answer.
    ///
    /// # Errors
    /// When there is no answer, or one that is too long.
    pub async fn get(&self, base: &str, path: &str, query: &[(&str, &str)]) -> Result<Answer, AskError> {
        let url = format!("{}{path}", base.trim_end_matches('/'));
        let failed = |source: reqwest::Error| AskError::Unreachable { url: url.clone(), source: source.without_url() };
        let mut target = reqwest::Url::parse(&url).map_err(|error| AskError::Unexpected {
            url: url.clone(),
            what: format!("the address is no URL: {error}"),
        })?;
        if !query.is_empty() {
            target.query_pairs_mut().extend_pairs(query);
        }
        let mut response = self.http.get(target).send().await.map_err(failed)?;
        let status = response.status();
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(AskError::TooLong { url, limit: self.max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { url, status, content_type, body })
    }
}

impl Answer {
    /// The answer, if its status is 200.
    ///
    /// # Errors
    /// When the status is another one.
    pub fn ok(self) -> Result<Self, AskError> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        let body: String = String::from_utf8_lossy(&self.body).trim().chars().take(200).collect();
        Err(AskError::Status { url: self.url, status: self.status, body })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none, or has another form.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, AskError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// This answer was not what the API describes.
    #[must_use]
    pub fn unexpected(&self, what: String) -> AskError {
        AskError::Unexpected { url: self.url.clone(), what }
    }
}
