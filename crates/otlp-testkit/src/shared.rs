//! The state that the server fills and the tests read.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::sync::{Notify, watch};

use crate::answer::{Answer, Outcome, Signal};
use crate::received::{Attempt, Protocol, Received};

/// Attempts kept per signal. A test that sends more has run away: it gets failures and a fault, not the machine's memory.
const MAX_ATTEMPTS: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes threads that wait.
    pub(crate) changed: Condvar,
    /// Wakes tasks that wait.
    pub(crate) version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) received: Received,
    pub(crate) scripts: HashMap<Signal, VecDeque<Answer>>,
    pub(crate) otherwise: HashMap<Signal, Answer>,
}

/// What the server knows about a request besides its message.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    pub(crate) gzip: bool,
}

impl Shared {
    /// The state, also when a predicate of a test panicked while it looked at it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, what: String) {
        let mut state = self.lock();
        if state.received.faults.len() < MAX_ATTEMPTS {
            state.received.faults.push(what);
        }
        drop(state);
        self.tell();
    }

    /// Stores an attempt and takes its answer from the script.
    pub(crate) fn arrive<T: Payload>(&self, envelope: Envelope, request: T) -> Answer {
        let mut state = self.lock();
        let scripted = state.scripts.get_mut(&T::SIGNAL).and_then(VecDeque::pop_front);
        let answer = scripted.or_else(|| state.otherwise.get(&T::SIGNAL).cloned()).unwrap_or_else(Answer::accept);
        if T::attempts(&mut state.received).len() >= MAX_ATTEMPTS {
            drop(state);
            self.fault(format!("more than {MAX_ATTEMPTS} attempts: this one was not kept"));
            return Answer::invalid();
        }
        T::attempts(&mut state.received).push(Arc::new(Attempt {
            protocol: envelope.protocol,
            headers: envelope.headers,
            gzip: envelope.gzip,
            arrived: Instant::now(),
            arrived_at: SystemTime::now(),
            request,
            answer: answer.clone(),
        }));
        drop(state);
        self.tell();
        answer
    }

    fn tell(&self) {
        self.changed.notify_all();
        self.version.send_modify(|version| *version += 1);
    }
}

/// Cuts the connection that a request came on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangup(pub(crate) Arc<Notify>);

impl Hangup {
    /// Never returns: the connection's task is dropped, and the handler with it.
    pub(crate) async fn cut(&self) -> ! {
        self.0.notify_one();
        std::future::pending().await
    }
}

/// A request message of one signal.
pub(crate) trait Payload: prost::Message + Default + Send + Sync + 'static {
    const SIGNAL: Signal;
    type Response: prost::Message + Default;

    fn attempts(received: &mut Received) -> &mut Vec<Arc<Attempt<Self>>>;

    /// The message of a success; `rejected` items were not taken because of `message`.
    fn partial(rejected: i64, message: String) -> Self::Response;

    /// The message that goes with an outcome, or `None` where there is none.
    fn response(outcome: &Outcome) -> Option<Self::Response> {
        match outcome {
            Outcome::Accept => Some(Self::Response::default()),
            Outcome::Partial { rejected, message } => Some(Self::partial(*rejected, message.clone())),
            Outcome::Fail { .. } | Outcome::Close => None,
        }
    }
}

impl Payload for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
    type Response = ExportTraceServiceResponse;

    fn attempts(received: &mut Received) -> &mut Vec<Arc<Attempt<Self>>> {
        &mut received.traces
    }

    fn partial(rejected: i64, message: String) -> Self::Response {
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message };
        ExportTraceServiceResponse { partial_success: Some(partial) }
    }
}

impl Payload for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;
    type Response = ExportMetricsServiceResponse;

    fn attempts(received: &mut Received) -> &mut Vec<Arc<Attempt<Self>>> {
        &mut received.metrics
    }

    fn partial(rejected: i64, message: String) -> Self::Response {
        let partial = ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message };
        ExportMetricsServiceResponse { partial_success: Some(partial) }
    }
}
