//! The instruments of the game: each series is bound once, so that a message costs an addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use otel_exemplars::{BoundCounter, BoundHistogram, ExemplarMeter};

use super::metrics::{counter, histogram};
use crate::names::websocket::{Broadcast, Fault, Received, Refusal, Sent};
use crate::names::{self, Instrument, attribute};

/// All `websocket.*` instruments. Those that are bound are shown with 0, so that also the first error is an
/// increase.
#[derive(Debug)]
pub struct Websocket {
    connections: Arc<AtomicI64>,
    sessions: Arc<AtomicI64>,
    messages_sent: Vec<BoundCounter>,
    bytes_sent: Vec<BoundCounter>,
    messages_received: Vec<BoundCounter>,
    bytes_received: Vec<BoundCounter>,
    broadcasts: Vec<BoundCounter>,
    processing: Vec<BoundHistogram>,
    errors: Vec<BoundCounter>,
    connection_errors: Vec<BoundCounter>,
}

impl Websocket {
    pub(super) fn new(meter: &ExemplarMeter) -> Self {
        let (sent, received) = (Sent::ALL.iter().map(|kind| kind.name()), Received::ALL.iter().map(|kind| kind.name()));
        let processing = histogram(meter, names::WEBSOCKET_PROCESSING_DURATION, names::SECTION_BOUNDARIES);
        let bind = |instrument: Instrument, kinds: &mut dyn Iterator<Item = &'static str>| -> Vec<BoundCounter> {
            let counter = counter(meter, instrument);
            kinds.map(|kind| counter.bind(&[KeyValue::new(attribute::KIND, kind)])).collect()
        };
        Self {
            connections: active(meter.inner(), names::WEBSOCKET_CONNECTIONS_ACTIVE),
            sessions: active(meter.inner(), names::WEBSOCKET_SESSIONS_ACTIVE),
            messages_sent: bind(names::WEBSOCKET_MESSAGES_SENT, &mut sent.clone()),
            bytes_sent: bind(names::WEBSOCKET_BYTES_SENT, &mut sent.clone()),
            messages_received: bind(names::WEBSOCKET_MESSAGES_RECEIVED, &mut received.clone()),
            bytes_received: bind(names::WEBSOCKET_BYTES_RECEIVED, &mut received.clone()),
            broadcasts: bind(names::WEBSOCKET_BROADCASTS, &mut Broadcast::ALL.iter().map(|kind| kind.name())),
            processing: received.map(|kind| processing.bind(&[KeyValue::new(attribute::KIND, kind)])).collect(),
            errors: bind(names::WEBSOCKET_ERRORS, &mut Refusal::ALL.iter().map(|kind| kind.name())),
            connection_errors: bind(names::WEBSOCKET_CONNECTION_ERRORS, &mut Fault::ALL.iter().map(|kind| kind.name())),
        }
    }

    /// Counts a connection until the guard is dropped.
    #[must_use]
    pub fn connection(&self) -> Active {
        Active::enter(&self.connections)
    }

    /// Counts a session until the guard is dropped.
    #[must_use]
    pub fn session(&self) -> Active {
        Active::enter(&self.sessions)
    }

    /// Counts a message that was written to a client.
    pub fn sent(&self, kind: Sent, bytes: usize) {
        self.messages_sent[kind as usize].add(1);
        self.bytes_sent[kind as usize].add(bytes as u64);
    }

    /// Counts a message that a client sent.
    pub fn received(&self, kind: Received, bytes: usize) {
        self.messages_received[kind as usize].add(1);
        self.bytes_received[kind as usize].add(bytes as u64);
    }

    /// Counts a message that was given to all players of a room; add while the broadcast's span is open and current.
    pub fn broadcast(&self, kind: Broadcast) {
        self.broadcasts[kind as usize].add(1);
    }

    /// `websocket.message.processing.duration`; record while the message's span is open and current.
    #[must_use]
    pub fn processing(&self, kind: Received) -> &BoundHistogram {
        &self.processing[kind as usize]
    }

    /// Counts a message that was refused.
    pub fn refused(&self, kind: Refusal) {
        self.errors[kind as usize].add(1);
    }

    /// Counts a connection that was refused or ended badly.
    pub fn fault(&self, kind: Fault) {
        self.connection_errors[kind as usize].add(1);
    }
}

/// What is counted as long as it is there.
#[derive(Debug)]
pub struct Active(Arc<AtomicI64>);

impl Active {
    fn enter(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn active(meter: &Meter, instrument: Instrument) -> Arc<AtomicI64> {
    let count = Arc::new(AtomicI64::new(0));
    let read = Arc::clone(&count);
    let _observed = meter
        .i64_observable_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_callback(move |observer| observer.observe(read.load(Ordering::Relaxed), &[]))
        .build();
    count
}
