//! Profiles as answers: what is asked for decides the form, and Go's server decides the headers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;

use super::App;
use super::ask::{Ask, Format};
use super::manners::FLAME_GRAPH_POLICY;
use super::sources::Profile;
use super::top;
use crate::http::problem::{Kind, Problem};

const TEXT: &str = "text/plain; charset=utf-8";

/// How a body looks to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A file of this name.
    File(&'static str, &'static str),
    /// Text.
    Text,
    /// JSON.
    Json,
    /// A flame graph.
    Svg,
    /// A page.
    Html,
}

impl Form {
    /// The form that a client asks for; files are called `name`, those of differences `name-delta`.
    pub(super) fn of(ask: &Ask, name: &'static str, delta: bool) -> Self {
        match ask.format {
            _ if ask.debug > 0 => Self::Text,
            Format::Pprof => Self::File(name, if delta { "-delta" } else { "" }),
            Format::Svg => Self::Svg,
            Format::Json => Self::Json,
            Format::Folded => Self::Text,
            Format::Html => Self::Html,
        }
    }

    /// The head alone of an answer of this form, without a length: nothing is taken to know it.
    pub(super) fn head(self) -> Response {
        self.with(Body::new(Untaken))
    }

    /// An answer of this form.
    pub(crate) fn with(self, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        let content_type = match self {
            Self::File(..) => "application/octet-stream",
            Self::Text => TEXT,
            Self::Json => "application/json",
            Self::Svg => "image/svg+xml",
            Self::Html => "text/html; charset=utf-8",
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Self::File(name, suffix) = self
            && let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}{suffix}\""))
        {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        if self == Self::Svg {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FLAME_GRAPH_POLICY));
        }
        response
    }
}

/// A body whose length nobody knows: that of a profile that was not taken.
struct Untaken;

impl HttpBody for Untaken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

/// Writes a profile as it was asked for; `title` is that of a flame graph.
pub(super) async fn profile(
    app: &App,
    profile: Profile,
    ask: &Ask,
    form: Form,
    title: String,
) -> Result<Response, Problem> {
    let (debug, format) = (ask.debug, ask.format);
    let body = render(app, move || {
        let value = profile.default_value;
        match format {
            _ if debug > 0 => profile.symbolize().text().into_bytes(),
            Format::Json => serde_json::to_vec(&top::by_span(&profile)).unwrap_or_default(),
            Format::Svg => profile.symbolize().flamegraph(&title, value),
            Format::Folded => profile.symbolize().folded(value).into_bytes(),
            Format::Pprof | Format::Html => profile.symbolize().to_pprof(),
        }
    })
    .await?;
    Ok(form.with(body))
}

/// Does what takes long away from the one thread of the server. The permit stays with the work, also when the client
/// is gone, so that coming and going does not pile work up.
pub(super) async fn render<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let failed = |what: &str| Problem::new(Kind::ProfilerFailed, format!("{what}: the log says why"));
    let permit = Arc::clone(&app.rendering).acquire_owned().await.map_err(|_| failed("the server stops"))?;
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| failed("writing the profile panicked"))
}
