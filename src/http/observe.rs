//! One span and one record per request.
//!
//! This runs for every request, so nothing is formatted or looked up that could be known before: span names and bound
//! histograms are kept per route, in tables whose size is fixed by the methods, versions and outcomes that exist. That
//! also bounds the series, whatever clients send.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use otel_exemplars::BoundHistogram;
use tracing::{Instrument as _, Span};

use super::problem::Kind;
use super::route::Route;
use super::traceparent;
use crate::names::{self, METHODS, attribute};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::{ActiveRequest, Instruments};
use crate::telemetry::recent::RecentTraces;
use crate::workload::CANCELLED;

/// `network.protocol.version`; only HTTP/1 is served.
const VERSIONS: [&str; 2] = ["1.0", "1.1"];

/// All refusals, both kinds of success, the connection that became another, and the client that went away.
const OUTCOMES: usize = Kind::ALL.len() + 4;

/// What counts against an objective: how a request for work can fail that the service is to blame for.
const FAILURES: [Kind; 8] = [
    Kind::InjectedFailure,
    Kind::DatabaseError,
    Kind::EncodingError,
    Kind::Panic,
    Kind::Overloaded,
    Kind::DatabaseUnavailable,
    Kind::NotReady,
    Kind::Timeout,
];

/// Paths and queries are shortened to this many bytes in spans.
const MAX_URL_BYTES: usize = 512;

/// The most attributes that a request's span begins with.
const SPAN_ATTRIBUTES: usize = 7;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    /// The connection is a WebSocket from here on.
    Switched,
    /// The work is done later.
    Accepted,
    Refused(Kind),
    /// The client went away, or the service stopped waiting.
    Cancelled,
}

impl Outcome {
    fn index(self) -> usize {
        match self {
            Self::Good => 0,
            Self::Cancelled => 1,
            Self::Switched => 2,
            Self::Accepted => 3,
            Self::Refused(kind) => 4 + kind as usize,
        }
    }

    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Good | Self::Switched | Self::Accepted => None,
            Self::Refused(kind) => Some(kind.error_type()),
            Self::Cancelled => Some(CANCELLED),
        }
    }

    /// `None` where no status was sent.
    fn status(self) -> Option<u16> {
        match self {
            Self::Good => Some(200),
            Self::Switched => Some(101),
            Self::Accepted => Some(202),
            Self::Refused(kind) => Some(kind.status()),
            Self::Cancelled => None,
        }
    }
}

/// What observing one route needs.
#[derive(Debug)]
pub struct Observed {
    instruments: Arc<Instruments>,
    recent: Arc<RecentTraces>,
    /// `None` for requests that match no route.
    pattern: Option<&'static str>,
    /// By method; `None` for routes without spans.
    span_names: Option<[Arc<str>; METHODS.len()]>,
    reads_parent: bool,
    /// By method, version and outcome; filled on first use, those of an objective at once.
    bound: Box<[OnceLock<BoundHistogram>]>,
}

impl Observed {
    pub(super) fn new(route: Option<&'static Route>, telemetry: &Telemetry, reads_parent: bool) -> Arc<Self> {
        let traced = telemetry.tracer.is_some() && route.is_none_or(|route| route.traced);
        let pattern = route.map(|route| route.path);
        let span_names = METHODS.map(|method| {
            // The conventions' name for methods that are not known is HTTP.
            let method = if method == "_OTHER" { "HTTP" } else { method };
            pattern.map_or_else(|| method.into(), |pattern| format!("{method} {pattern}").into())
        });
        let observed = Self {
            instruments: Arc::clone(&telemetry.instruments),
            recent: Arc::clone(&telemetry.recent),
            pattern,
            span_names: traced.then_some(span_names),
            reads_parent,
            bound: (0..METHODS.len() * VERSIONS.len() * OUTCOMES).map(|_| OnceLock::new()).collect(),
        };
        if route.is_some_and(|route| route.has_objective) {
            // What is bound is shown with 0: failures that are all there with the first export are an increase, too.
            let (get, version) = (names::method_index("GET"), VERSIONS.len() - 1);
            for outcome in FAILURES.map(Outcome::Refused).into_iter().chain([Outcome::Good]) {
                observed.histogram(get, version, outcome);
            }
        }
        Arc::new(observed)
    }

    fn span(&self, request: &Request, method: usize) -> Span {
        let Some(names) = &self.span_names else { return Span::none() };
        let parent = if self.reads_parent { traceparent::parent(request.headers()) } else { None };
        // The bridge takes the parent from the current context when the span is made.
        let _attached = parent.map(|parent| Context::new().with_remote_span_context(parent).attach());
        tracing::info_span!("request", otel.name = &*names[method], otel.kind = "server")
    }

    /// The attributes of a request's span. They are set on the span itself, as the bridge would copy each text and compare
    /// each name with those that it treats specially.
    fn attributes(&self, request: &Request, method: usize, version: usize) -> Vec<KeyValue> {
        let uri = request.uri();
        let path = match self.pattern {
            Some(pattern) if pattern == uri.path() => KeyValue::new(attribute::URL_PATH, pattern),
            _ => KeyValue::new(attribute::URL_PATH, short(uri.path()).to_owned()),
        };
        let mut attributes = Vec::with_capacity(SPAN_ATTRIBUTES);
        attributes.extend([
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, METHODS[method]),
            path,
            KeyValue::new(attribute::URL_SCHEME, "http"),
            KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, VERSIONS[version]),
        ]);
        attributes.extend(self.pattern.map(|pattern| KeyValue::new(attribute::HTTP_ROUTE, pattern)));
        attributes.extend(uri.query().map(|query| KeyValue::new(attribute::URL_QUERY, short(query).to_owned())));
        if METHODS[method] == "_OTHER" {
            let original = short(request.method().as_str()).to_owned();
            attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
        }
        attributes
    }

    /// The histogram of this method, version and outcome, with its attributes.
    fn histogram(&self, method: usize, version: usize, outcome: Outcome) -> &BoundHistogram {
        let cell = (method * VERSIONS.len() + version) * OUTCOMES + outcome.index();
        self.bound[cell].get_or_init(|| {
            let mut attributes = vec![
                KeyValue::new(attribute::HTTP_REQUEST_METHOD, METHODS[method]),
                KeyValue::new(attribute::URL_SCHEME, "http"),
                KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, VERSIONS[version]),
            ];
            attributes.extend(self.pattern.map(|pattern| KeyValue::new(attribute::HTTP_ROUTE, pattern)));
            let status = outcome.status().map(i64::from);
            attributes.extend(status.map(|status| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status)));
            attributes.extend(outcome.error_type().map(|error| KeyValue::new(attribute::ERROR_TYPE, error)));
            self.instruments.http_duration.bind(&attributes)
        })
    }
}

/// The layer: makes the span, runs the rest inside it, and records while it is still open.
pub(super) async fn observe(State(observed): State<Arc<Observed>>, request: Request, next: Next) -> Response {
    let method = names::method_index(request.method().as_str());
    let version = usize::from(request.version() != Version::HTTP_10);
    let span = observed.span(&request, method);
    let attributes = observed.span_names.is_some().then(|| observed.attributes(&request, method, version));
    let active = observed.instruments.active_requests.enter(method);
    let watch = Watch { observed, method, version, started: Instant::now(), _active: active, finished: false };
    async move {
        if let Some(attributes) = attributes {
            Context::map_current(|context| context.span().set_attributes(attributes));
        }
        let mut response = next.run(request).await;
        let outcome = match response.extensions().get() {
            Some(kind) => Outcome::Refused(*kind),
            None if response.status() == StatusCode::SWITCHING_PROTOCOLS => Outcome::Switched,
            None if response.status() == StatusCode::ACCEPTED => Outcome::Accepted,
            None => Outcome::Good,
        };
        watch.finish(outcome, response.headers_mut());
        response
    }
    .instrument(span)
    .await
}

/// A request under way. It lives inside the request's span, also when it is dropped.
struct Watch {
    observed: Arc<Observed>,
    method: usize,
    version: usize,
    started: Instant,
    _active: ActiveRequest,
    finished: bool,
}

impl Watch {
    fn finish(mut self, outcome: Outcome, headers: &mut HeaderMap) {
        self.finished = true;
        self.record(outcome, Some(headers));
    }

    fn record(&self, outcome: Outcome, headers: Option<&mut HeaderMap>) {
        let elapsed = self.started.elapsed();
        if let Some(names) = &self.observed.span_names {
            // Straight to the current span: a record through `tracing` would cost an allocation and a lookup each.
            Context::map_current(|context| {
                let span = context.span();
                if let Some(status) = outcome.status() {
                    span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
                }
                if let Some(error_type) = outcome.error_type() {
                    span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
                    // The fault of a client is no error of the server.
                    if outcome.status().is_none_or(|status| status >= 500) {
                        span.set_status(Status::error(error_type));
                    }
                }
                let ids = span.span_context();
                if !ids.is_valid() {
                    return;
                }
                self.observed.recent.push_span(ids, &names[self.method], elapsed);
                if let Some(headers) = headers {
                    headers.insert(traceparent::TRACERESPONSE, traceparent::response(ids));
                }
            });
        }
        let seconds = elapsed.as_secs_f64();
        self.observed.histogram(self.method, self.version, outcome).record(seconds);
        let error_type = outcome.error_type();
        match outcome {
            // Under overload a line per request would add to it.
            Outcome::Refused(kind) if kind.status() >= 500 && kind != Kind::Overloaded => {
                tracing::warn!(error_type, seconds, status = kind.status(), "request failed");
            }
            _ => tracing::debug!(error_type, seconds, status = outcome.status(), "request finished"),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.finished {
            self.record(Outcome::Cancelled, None);
        }
    }
}

/// The beginning of a path or query; both are ASCII or percent-encoded, but a cut must not split a character.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_URL_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_cell() {
        let refused = Kind::ALL.iter().map(|kind| Outcome::Refused(*kind));
        let mut cells: Vec<_> = [Outcome::Good, Outcome::Switched, Outcome::Accepted, Outcome::Cancelled]
            .into_iter()
            .chain(refused)
            .collect();
        cells.sort_by_key(|outcome| outcome.index());
        for (index, outcome) in cells.iter().enumerate() {
            assert_eq!(outcome.index(), index);
        }
        assert_eq!(cells.len(), OUTCOMES);
    }

    #[test]
    fn long_urls_are_cut_between_characters() {
        assert_eq!(short("/a"), "/a");
        let long = "é".repeat(1_000);
        assert!(short(&long).len() <= MAX_URL_BYTES);
    }
}
