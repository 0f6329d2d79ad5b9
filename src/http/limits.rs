//! Bounds of a request: how many at once, how large, how long.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::problem::{Kind, Problem};

/// The limits of one route.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// One permit per request that may run; `None` for routes that always answer.
    pub(super) permits: Option<Arc<Semaphore>>,
    pub(super) max_body_bytes: usize,
    pub(super) timeout: Duration,
}

/// The layer: refuses what is over a limit. Requests over the concurrency limit are turned away at once instead of
/// queued, because a queue would only make them late.
pub(super) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + limits.timeout;
    let _permit = match limits.permits.map(Semaphore::try_acquire_owned).transpose() {
        Ok(permit) => permit,
        Err(_) => {
            let detail = "as many requests are served as PHASELAB_MAX_CONCURRENT_REQUESTS allows: try again later";
            return Problem::new(Kind::Overloaded, detail).into_response();
        }
    };
    let (head, body) = request.into_parts();
    if !body.is_end_stream() {
        let max = limits.max_body_bytes;
        match timeout_at(deadline, discard(body, max)).await {
            Ok(Ok(())) => {}
            Ok(Err(Kind::BodyTooLarge)) => {
                let detail = format!("the body has more than {max} bytes, which PHASELAB_MAX_BODY_BYTES sets");
                return Problem::new(Kind::BodyTooLarge, detail).into_response();
            }
            Ok(Err(kind)) => return Problem::new(kind, "the body broke off").into_response(),
            Err(_) => {
                let detail = format!("the body did not arrive within {:?}", limits.timeout);
                return Problem::new(Kind::SlowBody, detail).into_response();
            }
        }
    }
    let request = Request::from_parts(head, Body::empty());
    match timeout_at(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("the work took longer than {:?}, which PHASELAB_REQUEST_TIMEOUT sets", limits.timeout);
            Problem::new(Kind::Timeout, detail).into_response()
        }
    }
}

/// No route takes a body: what is sent is counted and thrown away, never held.
async fn discard(mut body: Body, max: usize) -> Result<(), Kind> {
    if body.size_hint().lower() > max as u64 {
        return Err(Kind::BodyTooLarge);
    }
    let mut seen = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Kind::UnreadableBody)?;
        seen += frame.data_ref().map_or(0, bytes::Bytes::len);
        if seen > max {
            return Err(Kind::BodyTooLarge);
        }
    }
    Ok(())
}
