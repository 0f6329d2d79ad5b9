//! Accepts connections, and stops gracefully.

mod patience;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use patience::Patience;

/// What bounds the connections of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once, further ones wait in the kernel's backlog. Each is a task of a few kilobytes and a
    /// descriptor.
    pub(crate) connections: usize,
    /// How long a client may take to read what was written for it.
    pub(crate) write_timeout: Duration,
    /// How long requests may take to finish once the server stops.
    pub(crate) stop: Duration,
}

/// The two ends of the connection that a request came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client.
    pub(crate) peer: SocketAddr,
    /// The address under which it reached this server.
    pub(crate) local: SocketAddr,
}

/// How long a client may take to send the head of a request, also of the next one on an idle connection.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when the process has no descriptors left, which only time can mend.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What came of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were cut because they did not finish in time.
    pub cut: usize,
}

/// Serves until `shutdown` resolves, then waits at most `bounds.stop` for connections to finish their request.
/// Requests carry their [`Ends`] as an extension.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    bounds: Bounds,
) -> Served {
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    loop {
        let (stream, ends) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener), if connections.len() < bounds.connections => accepted,
        };
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ends);
            inner.call(request)
        });
        let stream = TokioIo::new(Patience::new(stream, bounds.write_timeout));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        // A broken connection concerns its client alone.
        connections.spawn(async { drop(connection.await) });
    }
    // Closed before waiting, so that new clients are refused instead of hanging.
    drop(listener);
    let finished = tokio::time::timeout(bounds.stop, graceful.shutdown()).await;
    while connections.try_join_next().is_some() {}
    let cut = if finished.is_ok() { 0 } else { connections.len() };
    // Waits until the cut requests are dropped, so that their spans end before the exporter stops.
    connections.shutdown().await;
    Served { cut }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, Ends) {
    loop {
        match listener
            .accept()
            .await
            .and_then(|(stream, peer)| Ok((Ends { peer, local: stream.local_addr()? }, stream)))
        {
            Ok((ends, stream)) => {
                // Answers are written at once; waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, ends);
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Faults of one connection, which the listener survives.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests;
