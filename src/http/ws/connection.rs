//! One client's socket, from the handshake to the last frame.
//!
//! One task reads and writes, so a client that does not take what is written is not read from either. What others send it
//! waits in its mail, which never makes them wait.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, sink};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::budget::Budget;
use crate::names::websocket::{Fault, Sent};
use crate::workload::websocket::mailbox::{Letter, Mail, Overflow};
use crate::workload::websocket::protocol::MAX_MESSAGE_BYTES;
use crate::workload::websocket::session::Session;
use crate::workload::websocket::{Phase, Seat};

/// Most bytes that are kept of what the client has no room for: a message that is being written, and answers to pings.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// Time between two pings: NATs forget a silent connection after half a minute or more.
const PING_EVERY: Duration = Duration::from_secs(15);

/// Without any sign of life for this long, three pings, a client is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// How long a client may take to read one message: who reads nothing is noticed by this, long before its queue is full.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Most bytes that are thrown away of a client that cannot be understood any more: more than the systems of both sides keep
/// for a connection, so that who stops sending when told is not reset.
const MAX_DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

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
pub(super) async fn run(upgraded: Upgraded, seat: Seat) {
    let (session, mail, overflow) = seat.session();
    let stream = Budget::new(TokioIo::new(upgraded), seat.allowance());
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
    let mut connection = Connection { socket, session, mail, overflow, seat: &seat, unwritten: None, understood: true };
    let end = tokio::select! {
        biased;
        () = seat.until(Phase::Cut) => End::Fault(Fault::Cut),
        end = connection.serve() => end,
    };
    // Before the client is told.
    if let End::Fault(fault) = end {
        seat.game().fault(fault);
    }
    let closed = tokio::select! {
        biased;
        () = seat.until(Phase::Cut) => false,
        closed = connection.close(end) => closed,
    };
    // A fault is counted already.
    if end == End::Stopped && !closed {
        seat.game().fault(Fault::Cut);
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BYTES)
}

struct Connection<'a> {
    socket: WebSocketStream<Budget<TokioIo<Upgraded>>>,
    session: Session,
    mail: Mail,
    overflow: Overflow,
    seat: &'a Seat,
    /// A message that was begun and not wholly written.
    unwritten: Option<(Sent, usize)>,
    /// Whether what the client sends can still be read as frames.
    understood: bool,
}

impl Connection<'_> {
    async fn serve(&mut self) -> End {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut stopping = pin!(self.seat.until(Phase::Closing));
        loop {
            let step = tokio::select! {
                biased;
                () = self.overflow.happened() => Err(End::Fault(Fault::SlowClient)),
                () = &mut stopping => self.stop().await,
                // Before the client's next word, which goes to everybody: else the queues fill with what all say at the
                // same moment, although the sockets have room. There is always one to come: the session keeps its mailbox.
                Some(letter) = self.mail.next() => self.write(letter).await,
                received = self.socket.next() => {
                    heard = Instant::now();
                    let step = self.read(received);
                    // Now the others write what they got for it.
                    yield_now().await;
                    step
                }
                // After the socket: who has said something that was not read yet is not silent.
                () = sleep_until(heard + IDLE_TIMEOUT) => Err(End::Fault(Fault::IdleTimeout)),
                _ = pings.tick() => self.send(Message::Ping(Bytes::new())).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn read(&mut self, received: Option<Result<Message, Error>>) -> Result<(), End> {
        let done = match received {
            None => return Err(End::Closed),
            Some(Err(error)) => {
                self.understood = false;
                return Err(end(&error));
            }
            Some(Ok(Message::Text(text))) => self.session.receive(&text),
            Some(Ok(Message::Binary(bytes))) => {
                self.session.unreadable(bytes.len());
                Err(Fault::Binary)
            }
            // The library has the answer ready and sends it with the next call.
            Some(Ok(Message::Close(_))) => return Err(End::Closed),
            // Pings and pongs.
            Some(Ok(_)) => self.session.control(),
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

    /// Says why, if the connection still takes it, and waits for the client to close too; `false` when it did not.
    async fn close(&mut self, end: End) -> bool {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        if let Some((code, reason)) = farewell(end) {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            if let Ok(Ok(())) = timeout_at(deadline, self.socket.send(Message::Close(Some(frame)))).await {
                // Frames are written in order, so the message before the last frame was written too.
                self.written();
            }
        }
        timeout_at(deadline, self.drain()).await.is_ok()
    }

    /// Takes what the client still sends, until it closes: bytes that nobody has read would have the system throw away
    /// what the client has not read yet.
    async fn drain(&mut self) {
        loop {
            // Also sends the answer to a client that closes.
            match self.socket.next().await {
                Some(Ok(_)) => {}
                None if self.understood => return,
                Some(Err(_)) | None => break,
            }
        }
        let stream = self.socket.get_mut().unbounded();
        // Of a client that is gone already.
        let _ = stream.shutdown().await;
        let _ = copy(&mut stream.take(MAX_DISCARDED_BYTES), &mut sink()).await;
    }
}

/// The code and the reason that a client is told; none where there is nobody to tell.
fn farewell(end: End) -> Option<(CloseCode, &'static str)> {
    Some(match end {
        End::Closed | End::Fault(Fault::ConnectionLost | Fault::Cut) => return None,
        End::Stopped => (CloseCode::Away, "the service stops"),
        End::Fault(Fault::ProtocolError) => (CloseCode::Protocol, "a frame broke the protocol"),
        End::Fault(Fault::MessageTooLarge) => (CloseCode::Size, "a message may have 8192 bytes"),
        End::Fault(Fault::Binary) => (CloseCode::Unsupported, "messages are JSON in text frames"),
        End::Fault(Fault::NotUtf8) => (CloseCode::Invalid, "text is UTF-8"),
        End::Fault(Fault::RateLimited) => (CloseCode::Policy, "too many messages or bytes"),
        End::Fault(Fault::SlowClient) => (CloseCode::Policy, "too slow to read its messages"),
        End::Fault(_) => (CloseCode::Policy, "no answer to pings"),
    })
}

/// What a fault of the socket means.
fn end(error: &Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Closed,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Fault(Fault::ConnectionLost),
        Error::Protocol(_) => End::Fault(Fault::ProtocolError),
        Error::Capacity(_) => End::Fault(Fault::MessageTooLarge),
        Error::Utf8(_) => End::Fault(Fault::NotUtf8),
        Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => End::Fault(Fault::RateLimited),
        _ => End::Fault(Fault::ConnectionLost),
    }
}
