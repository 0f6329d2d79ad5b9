//! Accepts connections, and stops gracefully.

mod patience;

use std::collections::HashMap;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
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
use span_profiler::tasks::Tracked;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinSet};

use patience::Patience;

/// What the connections of a server are called, and what bounds them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// What its connections are called in a dump of tasks.
    pub(crate) name: &'static str,
    /// Connections at once, further ones wait in the kernel's backlog. Each is a task of a few kilobytes and a
    /// descriptor.
    pub(crate) connections: usize,
    /// How long a client may take to send the head of a request, also of the next one on an idle connection.
    pub(crate) header_timeout: Duration,
    /// Whether a client that leaves while its answer is made is noticed even if bytes of it are unread, which hyper does
    /// not do: it costs a descriptor more. For answers that take long.
    pub(crate) watched: bool,
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

/// How long to wait when the process has no descriptors left, which only time can mend.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What came of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were cut because they did not finish in time.
    pub cut: usize,
}

/// Serves until `shutdown` resolves, then waits at most `bounds.stop` for connections to finish their request.
/// Requests carry their [`Ends`] as an extension. `admits` says of the address of a new connection whether there is room
/// for it besides those that are open; else it is closed at once.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    bounds: Bounds,
    admits: impl Fn(IpAddr, &HashMap<Id, IpAddr>) -> bool,
) -> Served {
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut open = HashMap::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.header_timeout);
    loop {
        let (stream, ends) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                open.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            accepted = accept(&listener), if connections.len() < bounds.connections => accepted,
        };
        let peer = ends.peer.ip().to_canonical();
        if !admits(peer, &open) {
            continue;
        }
        let watched = if bounds.watched { twin(&stream).ok() } else { None };
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ends);
            inner.call(request)
        });
        let stream = TokioIo::new(Patience::new(stream, bounds.write_timeout));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        let connection = async {
            tokio::select! {
                biased;
                // A broken connection concerns its client alone.
                _ = connection => {}
                () = left(watched) => {}
            }
        };
        open.insert(connections.spawn(Tracked::new(bounds.name, connection)).id(), peer);
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

/// The same connection once more, to watch while hyper has it.
fn twin(stream: &TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(stream.as_fd().try_clone_to_owned()?.into())
}

/// Resolves when the client has closed its side, whether or not what it sent is read.
async fn left(watched: Option<TcpStream>) {
    match watched {
        // Of this interest the end of the client's side is a part, and bytes that wait are not.
        Some(stream) => drop(stream.ready(Interest::PRIORITY).await),
        None => pending().await,
    }
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
