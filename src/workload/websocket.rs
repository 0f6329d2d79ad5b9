//! The game: players in rooms, each message of a player given to all in its room.
//!
//! - [`protocol`] reads and writes messages, [`rate`] bounds how many a client may send;
//! - [`rooms`] knows who is where, and gives a broadcast to each player's [`mailbox`];
//! - [`session`] is one client: it processes its messages, each in a trace of its own.
//!
//! Nobody waits for anybody: a broadcast is put into bounded queues, and a client whose queue is full is dropped. The
//! sockets themselves are the API's.

pub mod mailbox;
pub mod protocol;
pub mod rate;
pub mod rooms;
pub mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::names::websocket::{Fault, Sent};
use crate::telemetry::recent::RecentTraces;
use crate::telemetry::websocket::Active;
use crate::telemetry::{Instruments, Telemetry};
use mailbox::{Mail, Mailbox, Overflow};
use rate::Bucket;
use rooms::Rooms;
use session::Session;

/// What bounds the game.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. Each is a task and a descriptor, and has a queue.
    pub connections: usize,
    /// Players in a room: each message of one is written to all of them.
    pub players: usize,
    /// Rooms at once.
    pub rooms: usize,
    /// Messages that may wait for a client: twice what all players of a room say at the same moment, so that nobody is
    /// taken for slow whose turn to write has not come. A place in a full queue has 48 bytes; the texts are shared by all
    /// in the room, and answers to this client alone are not made while it does not read.
    pub queue: usize,
    /// Messages a client may send per second in the long run: a game's frame rate.
    pub rate: u32,
    /// Messages it may send at once.
    pub burst: u32,
    /// Bytes it may send per second in the long run, with the heads of frames: half of the longest message for each. As
    /// empty frames that never make a message they are twenty thousand, some percent of a core.
    pub bytes: u32,
    /// Bytes it may send at once: a burst of the longest messages.
    pub bytes_burst: u32,
    /// Messages over the rate after which it is no mistake any more; one a second is forgiven.
    pub refusals: u32,
}

impl Limits {
    /// Those of the service, with as many connections as are configured.
    #[must_use]
    pub const fn new(connections: usize) -> Self {
        Self {
            connections,
            players: 1_000,
            rooms: 128,
            queue: 2_048,
            rate: 30,
            burst: 60,
            bytes: 128 * 1024,
            bytes_burst: 512 * 1024,
            refusals: 100,
        }
    }
}

/// Whether the game goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Clients may come.
    Open,
    /// Clients are asked to go.
    Closing,
    /// Those that are still there are dropped.
    Cut,
}

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSeat {
    /// All are taken.
    Full,
    /// The service stops.
    Stopping,
}

/// The game; cheap to clone.
#[derive(Debug, Clone)]
pub struct Game(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    rooms: Rooms,
    instruments: Arc<Instruments>,
    recent: Arc<RecentTraces>,
    /// The names of remembered traces.
    message_name: Arc<str>,
    broadcast_name: Arc<str>,
    phase: watch::Sender<Phase>,
    connections: watch::Sender<usize>,
    last_player: AtomicU64,
    /// Connections that did not let the service close them in time when it stopped.
    cut: AtomicUsize,
}

impl Game {
    /// A game without players.
    #[must_use]
    pub fn new(limits: Limits, telemetry: &Telemetry) -> Self {
        Self(Arc::new(Inner {
            limits,
            rooms: Rooms::new(limits),
            instruments: Arc::clone(&telemetry.instruments),
            recent: Arc::clone(&telemetry.recent),
            message_name: "websocket message".into(),
            broadcast_name: "websocket broadcast".into(),
            phase: watch::Sender::new(Phase::Open),
            connections: watch::Sender::new(0),
            last_player: AtomicU64::new(0),
            cut: AtomicUsize::new(0),
        }))
    }

    /// Takes a place for a connection.
    ///
    /// # Errors
    /// Why there is none; that there are too many is counted.
    pub fn enter(&self) -> Result<Seat, NoSeat> {
        let mut taken = Err(NoSeat::Full);
        self.0.connections.send_if_modified(|connections| {
            // Looked at under the same lock as the count, so that nobody comes after the last one has gone.
            if *self.0.phase.borrow() != Phase::Open {
                taken = Err(NoSeat::Stopping);
            } else if *connections < self.0.limits.connections {
                *connections += 1;
                taken = Ok(());
            }
            taken.is_ok()
        });
        if taken == Err(NoSeat::Full) {
            self.fault(Fault::TooManyConnections);
        }
        taken.map(|()| Seat { game: self.clone(), _active: self.0.instruments.websocket.connection() })
    }

    /// Counts a connection that was refused or ended badly.
    pub fn fault(&self, fault: Fault) {
        self.0.instruments.websocket.fault(fault);
        if fault == Fault::Cut {
            self.0.cut.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(kind = fault.name(), "a WebSocket connection was refused or ended badly");
    }

    /// Asks all clients to go and waits at most `limit` until they have; returns how many had to be cut.
    pub async fn close(&self, limit: Duration) -> usize {
        self.0.phase.send_replace(Phase::Closing);
        let mut connections = self.0.connections.subscribe();
        // The sender lives as long as this borrow, so waiting only ends with none left.
        let gone = |connections: &usize| *connections == 0;
        if tokio::time::timeout(limit, connections.wait_for(gone)).await.is_err() {
            self.0.phase.send_replace(Phase::Cut);
            // Dropping a connection waits for nothing.
            let _ = connections.wait_for(gone).await;
        }
        // Each was counted before it left its place.
        self.0.cut.load(Ordering::Relaxed)
    }
}

/// The place of one connection, free again when dropped.
#[derive(Debug)]
pub struct Seat {
    game: Game,
    _active: Active,
}

impl Seat {
    /// The session of the client in this place, and what waits for it.
    #[must_use]
    pub fn session(&self) -> (Session, Mail, Overflow) {
        let player = self.game.0.last_player.fetch_add(1, Ordering::Relaxed) + 1;
        let (mailbox, mail, overflow) = Mailbox::new(self.game.0.limits.queue);
        (Session::new(self.game.clone(), player, mailbox), mail, overflow)
    }

    /// The bytes that the client may send.
    #[must_use]
    pub fn allowance(&self) -> Bucket {
        let Limits { bytes, bytes_burst, .. } = self.game.0.limits;
        Bucket::new(bytes, bytes_burst)
    }

    /// The game.
    #[must_use]
    pub fn game(&self) -> &Game {
        &self.game
    }

    /// Resolves once the game is in this phase or a later one.
    pub async fn until(&self, phase: Phase) {
        // The sender lives as long as this seat.
        let _ = self.game.0.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Counts a message that was written to the client.
    pub fn sent(&self, kind: Sent, bytes: usize) {
        self.game.0.instruments.websocket.sent(kind, bytes);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.game.0.connections.send_modify(|connections| *connections -= 1);
    }
}
