//! `/ws`: the game, over a WebSocket.
//!
//! A browser sends a handshake for any page, with the cookies and from the address of its user, and lets the page read what
//! comes back. So who is asked by a page must be of the same host as the page ([`crate::http::origin`]); programs send
//! no `Origin`.

mod budget;
mod connection;

#[cfg(test)]
mod tests;

use axum::body::Body;
use axum::extract::{FromRef, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use span_profiler::tasks::spawn_named;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::App;
use super::origin;
use super::problem::{Kind, Problem};
use crate::names::websocket::Fault;
use crate::workload::websocket::{Game, NoSeat, Seat};

/// Random bytes of a handshake's key.
const KEY_BYTES: usize = 16;

impl FromRef<App> for Game {
    fn from_ref(app: &App) -> Self {
        app.game.clone()
    }
}

/// Takes a client into the game.
pub(super) async fn ws(State(game): State<Game>, request: Request) -> Response {
    admit(&game, request).unwrap_or_else(refuse)
}

fn admit(game: &Game, mut request: Request) -> Result<Response, Problem> {
    same_site(game, request.headers())?;
    let response = handshake(&request).inspect_err(|_| game.fault(Fault::BadHandshake))?;
    let seat = enter(game)?;
    let upgrade = hyper::upgrade::on(&mut request);
    spawn_named("websocket", async move {
        // A client that left before it had the answer has no connection, and its seat is free again.
        if let Ok(upgraded) = upgrade.await {
            connection::run(upgraded, seat).await;
        }
    });
    Ok(response)
}

fn refuse(problem: Problem) -> Response {
    let lacks_upgrade = problem.kind() == Kind::UpgradeRequired;
    let mut response = problem.into_response();
    if lacks_upgrade {
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// There is a place.
fn enter(game: &Game) -> Result<Seat, Problem> {
    game.enter().map_err(|none| match none {
        NoSeat::Stopping => Problem::new(Kind::NotReady, "the service stops and takes no more players"),
        NoSeat::Full => Problem::new(
            Kind::Overloaded,
            "as many WebSocket connections are open as PHASELAB_MAX_WEBSOCKETS allows: try again later",
        ),
    })
}

/// No page of another site asks.
fn same_site(game: &Game, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("(not ASCII)"));
    let Some(origin) = text(&header::ORIGIN) else { return Ok(()) };
    let host = text(&header::HOST).unwrap_or_default();
    if headers.get_all(header::ORIGIN).iter().count() == 1 && origin::is_of(origin, host) {
        return Ok(());
    }
    game.fault(Fault::OriginNotAllowed);
    let detail = format!(
        "a page of {origin:?} asks for a WebSocket of {host:?}: open the page from this server, and let a proxy in \
         front of it pass the Host header on; a program sends no Origin"
    );
    Err(Problem::new(Kind::OriginNotAllowed, detail))
}

/// The answer to a request that is a handshake.
fn handshake(request: &Request) -> Result<Response, Problem> {
    let response = create_response_with_body(request, Body::empty).map_err(|error| match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketKey) => bad_key(),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => Problem::new(
            Kind::UpgradeRequired,
            "the handshake needs the header Sec-WebSocket-Version: 13, the only version there is",
        ),
        _ => Problem::new(
            Kind::UpgradeRequired,
            "this is no WebSocket handshake: send GET over HTTP/1.1 with the headers Connection: Upgrade and \
             Upgrade: websocket, as every WebSocket client and phaselab load --scenario websocket do",
        ),
    })?;
    // The library only looks for the header.
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| STANDARD.decode(key));
    let valid = matches!(key, Some(Ok(key)) if key.len() == KEY_BYTES);
    if valid { Ok(response) } else { Err(bad_key()) }
}

fn bad_key() -> Problem {
    Problem::new(Kind::BadHandshake, "the handshake needs the header Sec-WebSocket-Key: 16 random bytes in base64")
}
