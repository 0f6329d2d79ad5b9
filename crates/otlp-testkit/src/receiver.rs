//! The handle that tests hold.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::answer::{Answer, Signal};
use crate::received::Received;
use crate::server::serve;
use crate::shared::Shared;

/// An OTLP receiver on loopback, alive until it is dropped.
///
/// It runs on a thread of its own with tracing switched off there, so that neither a test's runtime nor its spans see it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What [`Receiver::wait_for`] hoped for did not happen in time.
#[derive(Debug)]
pub struct TimedOut {
    /// How long it waited.
    pub timeout: Duration,
    /// What had arrived by then.
    pub received: Received,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, received } = self;
        let (traces, metrics) = (received.traces.len(), received.metrics.len());
        write!(
            f,
            "not within {timeout:?}; arrived: {traces} trace and {metrics} metric exports, faults: {:?}",
            received.faults
        )
    }
}

impl std::error::Error for TimedOut {}

impl Receiver {
    /// Starts a receiver on a free port of loopback.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start() -> io::Result<Self> {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
    }

    /// Starts a receiver on a listener, for a test in which the collector comes later than its clients.
    ///
    /// # Errors
    /// When no thread is to be had.
    pub fn serve(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("otlp-testkit".to_owned()).spawn(move || {
            // The HTTP/2 stack emits spans of its own; they must not end up in the exporter under test.
            let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, served, stopped).await,
                    Err(error) => served.fault(format!("the receiver did not start: {error}")),
                }
            });
            // Ends the connections, which also emits: before the guard goes.
            drop(runtime);
        })?;
        Ok(Self { address, shared, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, for both protocols.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Endpoint of a gRPC exporter.
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Endpoint of an HTTP exporter that appends `/v1/traces` and `/v1/metrics` itself, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Endpoint of an HTTP exporter that appends nothing, as the signals' own variables and builders have it.
    pub fn http_endpoint_of(&self, signal: Signal) -> String {
        let path = match signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
        };
        format!("http://{}/v1/{path}", self.address)
    }

    /// Adds `answers` for the next exports of `signal`, one each; after them comes what [`Receiver::otherwise`] set.
    pub fn script(&self, signal: Signal, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().scripts.entry(signal).or_default().extend(answers);
    }

    /// Sets the answer for every export of `signal` that has no scripted one; at first it is [`Answer::accept`].
    pub fn otherwise(&self, signal: Signal, answer: Answer) {
        self.shared.lock().otherwise.insert(signal, answer);
    }

    /// What has arrived so far.
    pub fn received(&self) -> Received {
        self.shared.lock().received.clone()
    }

    /// Forgets what has arrived; scripts stay.
    pub fn forget(&self) {
        self.shared.lock().received = Received::default();
    }

    /// Waits until `predicate` holds for what has arrived, at most `timeout` of real time.
    ///
    /// It does not look at the clock of the caller's runtime, so it also works where that one is paused.
    ///
    /// # Errors
    /// When the time is over first.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait_for(
        &self,
        timeout: Duration,
        mut predicate: impl FnMut(&Received) -> bool,
    ) -> Result<Received, TimedOut> {
        let mut version = self.shared.version.subscribe();
        // The sleep is created on the receiver's runtime, whose clock runs even where the caller's stands still.
        let mut timer = self.runtime.spawn(async move { tokio::time::sleep(timeout).await });
        loop {
            version.mark_unchanged();
            let received = self.received();
            if predicate(&received) {
                timer.abort();
                return Ok(received);
            }
            tokio::select! {
                _ = version.changed() => {}
                _ = &mut timer => return Err(TimedOut { timeout, received: self.received() }),
            }
        }
    }

    /// As [`Receiver::wait_for`], for a plain thread.
    ///
    /// # Errors
    /// When the time is over first.
    pub fn wait_for_blocking(
        &self,
        timeout: Duration,
        mut predicate: impl FnMut(&Received) -> bool,
    ) -> Result<Received, TimedOut> {
        let state = self.shared.lock();
        let (state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, timeout, |state| !predicate(&state.received))
            .unwrap_or_else(PoisonError::into_inner);
        let received = state.received.clone();
        if waited.timed_out() { Err(TimedOut { timeout, received }) } else { Ok(received) }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It panicked only if the receiver has a bug, and then the test has failed already.
            let _ = thread.join();
        }
    }
}
