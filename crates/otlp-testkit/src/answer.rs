//! What the receiver says to an export, and when.

use std::time::Duration;

use tokio::sync::watch;

/// The two signals the receiver accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// What the receiver says in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was taken.
    Accept,
    /// Taken but for a number of items; OTLP does not say which.
    Partial {
        /// Spans or data points that were refused.
        rejected: i64,
        /// The reason given to the client.
        message: String,
    },
    /// The export failed.
    Fail {
        /// Status of an HTTP answer.
        http: http::StatusCode,
        /// Status of a gRPC answer.
        grpc: tonic::Code,
    },
    /// The connection is cut without an answer.
    Close,
}

/// An [`Outcome`] and what the receiver waits for before it gives it.
#[derive(Clone, Debug)]
pub struct Answer {
    outcome: Outcome,
    delay: Option<Duration>,
    gate: Option<Gate>,
}

impl Answer {
    /// Takes everything.
    pub fn accept() -> Self {
        Outcome::Accept.into()
    }

    /// Takes all but `rejected` items, and says `message`.
    pub fn partial(rejected: i64, message: impl Into<String>) -> Self {
        Outcome::Partial { rejected, message: message.into() }.into()
    }

    /// Fails in a way that clients retry: HTTP 503, gRPC `UNAVAILABLE`.
    pub fn unavailable() -> Self {
        Outcome::Fail { http: http::StatusCode::SERVICE_UNAVAILABLE, grpc: tonic::Code::Unavailable }.into()
    }

    /// Fails in a way that clients must not retry: HTTP 400, gRPC `INVALID_ARGUMENT`.
    pub fn invalid() -> Self {
        Outcome::Fail { http: http::StatusCode::BAD_REQUEST, grpc: tonic::Code::InvalidArgument }.into()
    }

    /// Cuts the connection without an answer.
    pub fn close() -> Self {
        Outcome::Close.into()
    }

    /// The same answer, given `delay` of real time after the request arrived.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The same answer, given once `gate` is open.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// What is said in the end.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(crate) async fn due(&self) {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = &self.gate {
            gate.opened().await;
        }
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, delay: None, gate: None }
    }
}

/// Holds answers back until a test opens it; a clone is the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets every held answer go, and those that come later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        let mut state = self.0.subscribe();
        // An error would mean that the sender is gone, and this gate holds one.
        let _ = state.wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
