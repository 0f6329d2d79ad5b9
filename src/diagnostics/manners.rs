//! What every answer has: its headers, and a refusal in the form that the client reads.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;
use crate::http::problem::{Kind, Problem};
use crate::http::server::Ends;

/// A page may show nothing but its own style and flame graphs, and no other page may show it.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; \
                           frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

/// A flame graph runs its own script and reaches nothing: the sandbox gives it an origin that is not ours. It asks in a
/// modal dialog what to search for.
pub(super) const FLAME_GRAPH_POLICY: &str = "sandbox allow-scripts allow-modals; default-src 'none'; script-src 'unsafe-inline'; \
                                             style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'";

const FIXED: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Profiles are secrets of their moment.
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The outermost layer: access rules, headers, counts.
pub(super) async fn manners(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let go = is_go(request.headers());
    let Some(ends) = request.extensions().get::<Ends>().copied() else {
        // Every connection has two ends; without them the rules cannot be applied, so nothing is given.
        return Problem::new(Kind::PeerNotAllowed, "the address of the client is not known").into_response();
    };
    let allowed = app.access.check(request.method(), request.uri(), request.headers(), ends);
    let mut response = match allowed.and_then(|()| no_body(&request)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions().get::<Arc<Problem>>().map(Arc::clone) {
        if REFUSALS.contains(&problem.kind()) {
            app.counts.refused(problem.kind().error_type());
        }
        if go {
            as_go_reads(&mut response, &problem);
        }
        if problem.kind() == Kind::TokenRequired {
            for scheme in ["Bearer realm=\"phaselab\"", "Basic realm=\"phaselab\", charset=\"UTF-8\""] {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
    }
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(PAGE_POLICY));
    response
}

/// How a client is turned away, rather than that it asked for what there is not.
pub(super) const REFUSALS: [Kind; 6] = [
    Kind::TokenRequired,
    Kind::PeerNotAllowed,
    Kind::OriginNotAllowed,
    Kind::HostNotAllowed,
    Kind::ProfileRunning,
    Kind::BodyTooLarge,
];

/// A body that comes with GET would lie unread as long as the profile takes.
fn no_body(request: &Request) -> Result<(), Problem> {
    if request.body().is_end_stream() || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let detail = format!("{} takes no body: parameters stand in the address", request.method());
    Err(Problem::new(Kind::BodyTooLarge, detail))
}

/// Whether `go tool pprof` asks, which reads refusals in one form only.
fn is_go(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Go-http-client"))
}

/// `go tool pprof` shows the text of a refusal that has this header.
fn as_go_reads(response: &mut Response, problem: &Problem) {
    let text = format!("{}\n", problem.detail());
    response.headers_mut().insert("x-go-pprof", HeaderValue::from_static("1"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CONTENT_LENGTH, text.len().into());
    *response.body_mut() = text.into();
}
