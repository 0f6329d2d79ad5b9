//! One client's socket, from the handshake to the last frame.
//!
//! One task reads and writes, so a client that does not take what is written is not read from either. What others send it
//! waits in its mail, which never makes them wait.

use std::error::Error as _;
use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Error as Tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::names::websocket::{Fault, Sent};
use crate::workload::websocket::mailbox::{Letter, Mail, Overflow};
use crate::workload::websocket::session::Session;
use crate::workload::websocket::{Phase, Seat};

/// Time between two pings: NATs forget a silent connection after half a minute or more.
const PING_EVERY: Duration = Duration::from_secs(15);

/// Without any sign of life for this long, three pings, a client is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How long a client may take to read one message; its queue may be empty, so that nothing else tells.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client closed it.
    Closed,
    /// The service stops.
    Stopped,
    /// Something was wrong.
    Fault(Fault),
}

/// Serves one client, until either side ends it or the service stops waiting.
pub(super) async fn run(socket: WebSocket, seat: Seat) {
    let (session, mail, overflow) = seat.session();
    let mut connection = Connection { socket, session, mail, overflow, seat: &seat, unwritten: None };
    let served = async {
        let end = connection.serve().await;
        connection.close(end).await;
    };
    tokio::select! {
        () = served => {}
        () = seat.until(Phase::Cut) => seat.game().fault(Fault::Cut),
    }
}

struct Connection<'a> {
    socket: WebSocket,
    session: Session,
    mail: Mail,
    overflow: Overflow,
    seat: &'a Seat,
    /// A message that was begun and not wholly written.
    unwritten: Option<(Sent, usize)>,
}

impl Connection<'_> {
    async fn serve(&mut self) -> End {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut stopping = pin!(self.seat.until(Phase::Closing));
        loop {
            let step = tokio::select! {
                () = self.overflow.happened() => Err(End::Fault(Fault::SlowClient)),
                () = &mut stopping => self.stop().await,
                // There is always one to come: the session keeps its mailbox.
                Some(letter) = self.mail.next() => self.write(letter).await,
                received = self.socket.recv() => {
                    heard = Instant::now();
                    self.read(received)
                }
                now = pings.tick() => match now.duration_since(heard) >= IDLE_TIMEOUT {
                    true => Err(End::Fault(Fault::IdleTimeout)),
                    false => self.send(Message::Ping(Bytes::new())).await,
                },
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn read(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let done = match received {
            None => return Err(End::Closed),
            Some(Err(error)) => return Err(end(&error)),
            Some(Ok(Message::Text(text))) => self.session.receive(&text),
            Some(Ok(Message::Binary(bytes))) => {
                self.session.unreadable(bytes.len());
                Err(Fault::Binary)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.session.control(),
            // The library has the answer ready and sends it with the next call.
            Some(Ok(Message::Close(_))) => return Err(End::Closed),
        };
        done.map_err(End::Fault)
    }

    /// Writes one message and counts it once the socket has all of it.
    async fn write(&mut self, letter: Letter) -> Result<(), End> {
        self.unwritten = Some((letter.kind, letter.text.len()));
        self.send(Message::Text(letter.text)).await?;
        self.written();
        Ok(())
    }

    fn written(&mut self) {
        if let Some((kind, bytes)) = self.unwritten.take() {
            self.seat.sent(kind, bytes);
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        tokio::select! {
            biased;
            sent = timeout(WRITE_TIMEOUT, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(end(&error)),
                Err(_) => Err(End::Fault(Fault::SlowClient)),
            },
            () = self.overflow.happened() => Err(End::Fault(Fault::SlowClient)),
        }
    }

    /// The service stops: what waits for the client is the last it gets.
    async fn stop(&mut self) -> Result<(), End> {
        while let Some(letter) = self.mail.waiting() {
            self.write(letter).await?;
        }
        Err(End::Stopped)
    }

    /// Says why, if the connection still takes it, and waits for the client to close too.
    async fn close(&mut self, end: End) {
        if let End::Fault(fault) = end {
            self.seat.game().fault(fault);
        }
        let frame = farewell(end).map(|(code, reason)| CloseFrame { code, reason: reason.into() });
        let socket = &mut self.socket;
        let said = async {
            match frame {
                Some(frame) => socket.send(Message::Close(Some(frame))).await.is_ok(),
                None => false,
            }
        };
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        if tokio::time::timeout_at(deadline, said).await == Ok(true) {
            // Frames are written in order, so the message before the last frame was written too.
            self.written();
        }
        // Also sends the answer to a client that closes, and takes what it sends meanwhile, which would have the system
        // throw away what it has not read yet.
        let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = tokio::time::timeout_at(deadline, rest).await;
    }
}

/// The code and the reason that a client is told; none where there is nobody to tell.
fn farewell(end: End) -> Option<(u16, &'static str)> {
    Some(match end {
        End::Closed | End::Fault(Fault::ConnectionLost) => return None,
        End::Stopped => (close_code::AWAY, "the service stops"),
        End::Fault(Fault::ProtocolError) => (close_code::PROTOCOL, "a frame broke the protocol"),
        End::Fault(Fault::MessageTooLarge) => (close_code::SIZE, "a message may have 8192 bytes"),
        End::Fault(Fault::Binary) => (close_code::UNSUPPORTED, "messages are JSON in text frames"),
        End::Fault(Fault::NotUtf8) => (close_code::INVALID, "text is UTF-8"),
        End::Fault(Fault::RateLimited) => (close_code::POLICY, "too many messages"),
        End::Fault(Fault::SlowClient) => (close_code::POLICY, "too slow to read its messages"),
        End::Fault(_) => (close_code::POLICY, "no answer to pings"),
    })
}

/// What a fault of the socket means.
fn end(error: &axum::Error) -> End {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<Tungstenite>()) else {
        return End::Fault(Fault::ConnectionLost);
    };
    match error {
        Tungstenite::ConnectionClosed | Tungstenite::AlreadyClosed => End::Closed,
        Tungstenite::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Fault(Fault::ConnectionLost),
        Tungstenite::Protocol(_) => End::Fault(Fault::ProtocolError),
        Tungstenite::Capacity(_) => End::Fault(Fault::MessageTooLarge),
        Tungstenite::Utf8(_) => End::Fault(Fault::NotUtf8),
        _ => End::Fault(Fault::ConnectionLost),
    }
}
