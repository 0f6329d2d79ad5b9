//! `/ws`: the game, over a WebSocket.
//!
//! A browser sends a handshake for any page, with the cookies and from the address of its user, and lets the page read what
//! comes back. So who is asked by a page must be of the same host as the page ([`crate::http::origin`]); programs send
//! no `Origin`.

mod connection;

#[cfg(test)]
mod tests;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use span_profiler::tasks::Tracked;

use super::App;
use super::origin;
use super::problem::{Kind, Problem};
use crate::names::websocket::Fault;
use crate::workload::websocket::protocol::MAX_MESSAGE_BYTES;
use crate::workload::websocket::{Game, Seat};

/// Most bytes that are kept of what the client has no room for: a message that is being written, and answers to pings.
const MAX_WRITE_BYTES: usize = 64 * 1024;

impl FromRef<App> for Game {
    fn from_ref(app: &App) -> Self {
        app.game.clone()
    }
}

/// Takes a client into the game.
pub(super) async fn ws(
    State(game): State<Game>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let seat_of = |upgrade| Ok((upgrade, enter(&game)?));
    match same_site(&game, &headers).and_then(|()| valid(&game, upgrade)).and_then(seat_of) {
        Ok((upgrade, seat)) => upgrade
            .max_message_size(MAX_MESSAGE_BYTES)
            .max_frame_size(MAX_MESSAGE_BYTES)
            .read_buffer_size(MAX_MESSAGE_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_WRITE_BYTES)
            .on_upgrade(move |socket| Tracked::new("websocket", connection::run(socket, seat))),
        Err(problem) => refuse(problem),
    }
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
    game.enter().map_err(|fault| match fault {
        Fault::Stopping => Problem::new(Kind::NotReady, "the service stops and takes no more players"),
        _ => Problem::new(
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

/// It is a handshake.
fn valid(
    game: &Game,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    upgrade.map_err(|rejection| {
        game.fault(Fault::BadHandshake);
        match rejection {
            WebSocketUpgradeRejection::WebSocketKeyHeaderMissing(_) => Problem::new(
                Kind::BadHandshake,
                "the handshake needs the header Sec-WebSocket-Key: 16 random bytes in base64",
            ),
            WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_) => Problem::new(
                Kind::UpgradeRequired,
                "the handshake needs the header Sec-WebSocket-Version: 13, the only version there is",
            ),
            _ => Problem::new(
                Kind::UpgradeRequired,
                "this is no WebSocket handshake: send GET over HTTP/1.1 with the headers Connection: Upgrade and \
                 Upgrade: websocket, as every WebSocket client and phaselab load --scenario websocket do",
            ),
        }
    })
}
