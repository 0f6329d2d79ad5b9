//! The form of every refusal: RFC 9457 problem details.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde::Serialize;

use crate::workload::Failure;

/// Declares the kinds: variant, status, token, title.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $token:literal, $title:literal;)*) => {
        /// The kinds of refusals: a closed set, so that `error.type` cannot make series.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The status code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// The value of `error.type`, and the end of the problem's `type`.
            #[must_use]
            pub const fn error_type(self) -> &'static str {
                match self { $(Self::$variant => $token),* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            const fn type_uri(self) -> &'static str {
                match self { $(Self::$variant => concat!("urn:phaselab:problem:", $token)),* }
            }
        }
    };
}

kinds! {
    /// A parameter is unknown, repeated or out of its bounds.
    InvalidParameter = 400, "invalid_parameter", "A parameter is not valid";
    /// A WebSocket handshake lacks its key.
    BadHandshake = 400, "bad_handshake", "The handshake is not complete";
    /// The body broke off or was not HTTP.
    UnreadableBody = 400, "unreadable_body", "The request body cannot be read";
    /// A token is needed and was not shown, or is another one.
    TokenRequired = 401, "token_required", "A token is required";
    /// The client is on another machine.
    PeerNotAllowed = 403, "peer_not_allowed", "This address may not ask";
    /// A page of another site sent this request.
    OriginNotAllowed = 403, "origin_not_allowed", "Another site may not ask";
    /// No route.
    NotFound = 404, "not_found", "Nothing is served here";
    /// No such method at this route.
    MethodNotAllowed = 405, "method_not_allowed", "The method is not allowed here";
    /// Nothing was sampled under what was asked for.
    NoSamples = 404, "no_samples", "There are no samples of this";
    /// The client did not send its body in time.
    SlowBody = 408, "slow_body", "The request body did not arrive in time";
    /// Another client takes a profile of the same kind.
    ProfileRunning = 409, "profile_running", "A profile of this kind is being taken";
    /// The scenario runs already.
    ScenarioRunning = 409, "scenario_running", "The scenario is running";
    /// The body is over the limit.
    BodyTooLarge = 413, "body_too_large", "The request body is too large";
    /// The name under which the server was asked is not its own.
    HostNotAllowed = 421, "host_not_allowed", "This server does not answer under this name";
    /// A request without a WebSocket handshake where only that is answered.
    UpgradeRequired = 426, "upgrade_required", "Only WebSockets are served here";
    /// As many tasks wait as may.
    QueueFull = 429, "queue_full", "The queue is full";
    /// The request asked for it.
    InjectedFailure = 500, "injected_failure", "A phase failed on purpose";
    /// A query failed.
    DatabaseError = 500, "database_error", "A query failed";
    /// The payload or the page could not be written.
    EncodingError = 500, "encoding_error", "The answer could not be written";
    /// A bug.
    Panic = 500, "panic", "A phase panicked";
    /// The profiler could not do it.
    ProfilerFailed = 500, "profiler_failed", "The profile could not be taken";
    /// This program, as it was built or configured, has no such thing.
    NotSupported = 501, "not_supported", "This is not available";
    /// Too many requests at once.
    Overloaded = 503, "overloaded", "Too many requests at once";
    /// The database cannot be used.
    DatabaseUnavailable = 503, "database_unavailable", "The database is unavailable";
    /// A dependency is missing, or the service stops.
    NotReady = 503, "not_ready", "The service is not ready";
    /// The work took longer than the request timeout. Not 503, which promises that a retry helps: the same work would
    /// take as long again.
    Timeout = 504, "timeout", "The work did not finish in time";
}

/// Seconds after which a client that was turned away may try again: about what a slow request takes.
const RETRY_AFTER_S: u64 = 1;

/// One parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterFault {
    /// Its name as it was sent.
    pub parameter: String,
    /// Its value as it was sent, shortened.
    pub value: String,
    /// What is allowed.
    pub bound: String,
}

/// A refusal, ready to be sent.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    parameters: Vec<ParameterFault>,
    missing: Vec<&'static str>,
    retry_after_s: Option<u64>,
}

/// The members of the document, in order.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    error_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parameters: &'a [ParameterFault],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A refusal with an explanation for the client.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let again = matches!(kind, Kind::QueueFull | Kind::Overloaded | Kind::DatabaseUnavailable | Kind::NotReady);
        Self {
            kind,
            detail: detail.into(),
            parameters: Vec::new(),
            missing: Vec::new(),
            retry_after_s: again.then_some(RETRY_AFTER_S),
        }
    }

    /// Says after how many seconds trying again makes sense.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// What kind of refusal this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The explanation.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// All faults of the parameters at once.
    #[must_use]
    pub fn parameters(faults: Vec<ParameterFault>) -> Self {
        let describe = |fault: &ParameterFault| format!("{}={:?}: {}", fault.parameter, fault.value, fault.bound);
        let detail = faults.iter().map(describe).collect::<Vec<_>>().join("; ");
        Self { parameters: faults, ..Self::new(Kind::InvalidParameter, detail) }
    }

    /// The dependencies that are missing.
    #[must_use]
    pub fn missing(missing: Vec<&'static str>, detail: impl Into<String>) -> Self {
        Self { missing, ..Self::new(Kind::NotReady, detail) }
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::Injected(_) => Kind::InjectedFailure,
            Failure::DatabaseUnavailable(_) => Kind::DatabaseUnavailable,
            Failure::Query(_) => Kind::DatabaseError,
            Failure::Encode(_) => Kind::EncodingError,
            // Work is cancelled under a request only when the runtime stops.
            Failure::Cancelled => Kind::NotReady,
            Failure::Panicked => Kind::Panic,
        };
        // Causes are for the log: they may name paths of this machine.
        Self::new(kind, failure.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let trace_id = Context::map_current(|context| {
            let span = context.span();
            let ids = span.span_context();
            ids.is_valid().then(|| ids.trace_id().to_string())
        });
        let document = Document {
            r#type: self.kind.type_uri(),
            title: self.kind.title(),
            status: self.kind.status(),
            detail: &self.detail,
            error_type: self.kind.error_type(),
            trace_id,
            parameters: &self.parameters,
            missing: &self.missing,
            retry_after_seconds: self.retry_after_s,
        };
        let body = serde_json::to_vec(&document).expect("a document of strings and numbers can be written");
        let status = StatusCode::from_u16(self.kind.status()).expect("the table holds valid codes");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // The observing layer reads the kind from here, that of the diagnostics all of it.
        response.extensions_mut().insert(self.kind);
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
