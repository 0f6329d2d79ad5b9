//! Accepts connections, and stops gracefully.

mod patience;

use std::collections::HashMap;
use std::error::Error;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use span_profiler::tasks::Tracked;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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

/// Bytes that the system keeps for a client before they can be sent. It would take megabytes, and a client that does not
/// read would be noticed that much later; what was sent and not acknowledged is not bounded, so this costs no speed.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 16 * 1024;

/// How long to wait when the process has no descriptors left, which only time can mend.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The stream of a connection.
type Socket = TokioIo<Patience<TcpStream>>;

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
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut open = HashMap::new();
    let mut failing = false;
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
            accepted = accept(&listener, &mut failing), if connections.len() < bounds.connections => accepted,
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
        let connection = answer(builder.serve_connection(stream, service).with_upgrades(), stopping.subscribe());
        let connection = async {
            tokio::select! {
                biased;
                () = connection => {}
                () = left(watched) => {}
            }
        };
        open.insert(connections.spawn(Tracked::new(bounds.name, connection)).id(), peer);
    }
    // Closed before waiting, so that new clients are refused instead of hanging.
    drop(listener);
    stopping.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    let cut = match tokio::time::timeout(bounds.stop, finished).await {
        Ok(()) => 0,
        Err(_) => {
            while connections.try_join_next().is_some() {}
            connections.len()
        }
    };
    // Waits until the cut requests are dropped, so that their spans end before the exporter stops.
    connections.shutdown().await;
    Served { cut }
}

/// Answers the requests of one connection until it closes or becomes another; once the server stops, only the one that is
/// under way. hyper-util's graceful shutdown does this too, but knows no upgrades without its HTTP/2.
async fn answer<S>(connection: UpgradeableConnection<Socket, S>, mut stopping: watch::Receiver<bool>)
where
    S: HttpService<Incoming, ResBody = Body, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        _ = &mut connection => true,
        _ = stopping.wait_for(|stopping| *stopping) => false,
    };
    if !ended {
        connection.as_mut().graceful_shutdown();
        // A broken connection concerns its client alone.
        drop(connection.await);
    }
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

/// The next connection. That there is none to get is said once, as it is tried ten times a second, and once that it is over.
async fn accept(listener: &TcpListener, failing: &mut bool) -> (TcpStream, Ends) {
    loop {
        match listener
            .accept()
            .await
            .and_then(|(stream, peer)| Ok((Ends { peer, local: stream.local_addr()? }, stream)))
        {
            Ok((ends, stream)) => {
                if std::mem::take(failing) {
                    tracing::info!("connections are accepted again");
                }
                // Answers are written at once; waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                #[cfg(target_os = "linux")]
                let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
                return (stream, ends);
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                if !std::mem::replace(failing, true) {
                    tracing::warn!(%error, "cannot accept connections");
                }
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
