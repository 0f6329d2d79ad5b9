//! Accepts connections, and stops gracefully.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections at once, further ones wait in the kernel's backlog. Each is a task of a few kilobytes and a descriptor.
const MAX_CONNECTIONS: usize = 4_096;

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

/// Serves until `shutdown` resolves, then waits at most `limit` for connections to finish their request.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    limit: Duration,
) -> Served {
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            stream = accept(&listener), if connections.len() < MAX_CONNECTIONS => stream,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        // A broken connection concerns its client alone.
        connections.spawn(async { drop(connection.await) });
    }
    // Closed before waiting, so that new clients are refused instead of hanging.
    drop(listener);
    let finished = tokio::time::timeout(limit, graceful.shutdown()).await;
    while connections.try_join_next().is_some() {}
    let cut = if finished.is_ok() { 0 } else { connections.len() };
    // Waits until the cut requests are dropped, so that their spans end before the exporter stops.
    connections.shutdown().await;
    Served { cut }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written at once; waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                return stream;
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
