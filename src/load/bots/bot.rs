//! One player.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::check::{Account, Counts};
use super::run::Shared;

/// What a slow player lets the system receive for it; less would be rounded up.
const SLOW_RECEIVE_BYTES: u32 = 4_096;

/// Bytes of what a player says.
const TEXT_BYTES: usize = 512;

/// Without a message for this long, there is no more to come: players leave, and slow ones have read all there is.
const QUIET: Duration = Duration::from_secs(1);

/// What a player counted.
#[derive(Debug, Clone, Default)]
pub struct PlayerReport {
    /// Why it did not come or did not stay to the end, by a short name.
    pub failure: Option<&'static str>,
    /// Messages that it sent, of every kind.
    pub sent: Traffic,
    /// Messages that it said.
    pub said: u64,
    /// Messages that it got, of every kind.
    pub received: Traffic,
    /// The broadcasts among them.
    pub counts: Counts,
    /// Messages of it that the service refused, by the name of the error.
    pub refused: BTreeMap<String, u64>,
}

/// Messages and the bytes in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// How many.
    pub messages: u64,
    /// Their payload.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one more.
    pub fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// When a player speaks: its first message comes `offset` after the begin, the others `period` apart.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// When everybody began.
    pub begin: Instant,
    /// Until its first message.
    pub offset: Duration,
    /// Between its messages.
    pub period: Duration,
}

/// What the service says, as far as a bot looks at it.
#[derive(Debug, Deserialize)]
struct ServerMessage {
    kind: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    error: String,
}

/// A player who is in the room.
#[derive(Debug)]
pub struct Bot<'a> {
    shared: &'a Shared,
    socket: WebSocketStream<TcpStream>,
    account: Account,
    report: PlayerReport,
}

impl<'a> Bot<'a> {
    /// Connects and joins.
    ///
    /// # Errors
    /// The report of a player who did not come.
    pub async fn join(shared: &'a Shared, slow: bool) -> Result<Self, PlayerReport> {
        let failed = |failure| PlayerReport { failure: Some(failure), ..PlayerReport::default() };
        let limit = shared.plan.timeout;
        let socket = timeout(limit, connect(&shared.address, slow)).await.map_err(|_| failed("timeout"))?;
        let socket = socket.map_err(|error| failed(refusal(&error)))?;
        let mut bot = Self { shared, socket, account: Account::new(0), report: PlayerReport::default() };
        let join = json!({"kind": "join", "room": shared.plan.room, "name": "bot"}).to_string();
        let joined = async {
            bot.send(join).await?;
            bot.until("joined").await
        };
        match timeout(limit, joined).await {
            Ok(Ok(seq)) => {
                bot.account = Account::new(seq);
                Ok(bot)
            }
            Ok(Err(failure)) => Err(bot.fail(failure)),
            Err(_) => Err(bot.fail("timeout")),
        }
    }

    /// Plays from the begin to the end, then leaves.
    pub async fn play(mut self, turn: Turn) -> PlayerReport {
        let shared = self.shared;
        let end = turn.begin + shared.plan.duration;
        let mut due = turn.begin + turn.offset;
        while due < end && !shared.stopped() {
            tokio::select! {
                () = sleep_until(due) => {
                    let micros = due.duration_since(turn.begin).as_micros();
                    let text = format!("{micros:<TEXT_BYTES$}");
                    self.report.said += 1;
                    shared.say();
                    if let Err(failure) = self.send(json!({"kind": "say", "text": text}).to_string()).await {
                        return self.fail(failure);
                    }
                    due += turn.period;
                }
                heard = self.hear() => if let Err(failure) = self.take(heard, Some(turn.begin)) {
                    return self.fail(failure);
                },
                () = shared.stop() => {}
            }
        }
        let settled = async {
            shared.end(end).await;
            shared.settle(QUIET).await;
        };
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                heard = self.hear() => if let Err(failure) = self.take(heard, Some(turn.begin)) {
                    return self.fail(failure);
                },
            }
        }
        self.leave(Some(turn.begin)).await
    }

    /// Reads nothing until the others have left, and then what is still there.
    pub async fn stall(mut self, others_left: impl Future<Output = ()>) -> PlayerReport {
        others_left.await;
        // Nothing may be sent before all is read: to a closed connection it would have the system throw the rest away.
        while let Ok(heard) = timeout(QUIET, self.hear()).await {
            if let Err(failure) = self.take(heard, None) {
                return self.fail(failure);
            }
        }
        self.leave(None).await
    }

    /// Leaves, which tells the number of the last broadcast that was due.
    async fn leave(mut self, begin: Option<Instant>) -> PlayerReport {
        let deadline = Instant::now() + self.shared.plan.timeout;
        let left = async {
            self.send(json!({"kind": "leave"}).to_string()).await?;
            loop {
                let heard = self.hear().await;
                let heard = self.take(heard, begin)?;
                if heard.kind == "left" {
                    return Ok(heard.seq);
                }
            }
        };
        match timeout_at(deadline, left).await {
            Ok(Ok(seq)) => self.report.counts = self.account.left(seq),
            Ok(Err(failure)) => return self.fail(failure),
            Err(_) => return self.fail("timeout"),
        }
        // The goodbye is a courtesy: everything is counted.
        let goodbye = async {
            let _ = self.socket.close(None).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        let _ = timeout_at(deadline, goodbye).await;
        self.report
    }

    /// Waits for a message of this kind, and returns its number.
    async fn until(&mut self, kind: &str) -> Result<u64, &'static str> {
        loop {
            let heard = self.hear().await;
            let heard = self.take(heard, None)?;
            if heard.kind == kind {
                return Ok(heard.seq);
            }
            if heard.kind == "error" {
                return Err("refused");
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<(), &'static str> {
        let bytes = text.len();
        self.socket.send(Message::text(text)).await.map_err(|_| "broken")?;
        self.report.sent.add(bytes);
        Ok(())
    }

    /// The next frame.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    async fn hear(&mut self) -> Option<Result<Message, Error>> {
        self.socket.next().await
    }

    /// Counts what was heard.
    fn take(
        &mut self,
        heard: Option<Result<Message, Error>>,
        begin: Option<Instant>,
    ) -> Result<ServerMessage, &'static str> {
        let nothing = || ServerMessage { kind: String::new(), seq: 0, text: String::new(), error: String::new() };
        let text = match heard {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) | None => return Err("closed"),
            Some(Ok(_)) => return Ok(nothing()),
            Some(Err(_)) => return Err("broken"),
        };
        self.report.received.add(text.len());
        let heard: ServerMessage = serde_json::from_str(&text).map_err(|_| "not_understood")?;
        match heard.kind.as_str() {
            "said" | "moved" => {
                self.account.broadcast(heard.seq);
                let intended = begin.zip(heard.text.trim_end().parse().ok());
                self.shared.delivered(intended.map(|(begin, micros)| begin + Duration::from_micros(micros)));
            }
            "error" => *self.report.refused.entry(heard.error.clone()).or_default() += 1,
            _ => {}
        }
        Ok(heard)
    }

    fn fail(mut self, failure: &'static str) -> PlayerReport {
        self.report.failure = Some(failure);
        self.report.counts = self.account.so_far();
        self.report
    }
}

async fn connect(address: &str, slow: bool) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = open(lookup_host(address).await?, slow).await?;
    Ok(tokio_tungstenite::client_async(format!("ws://{address}/ws"), stream).await?.0)
}

/// A connection to the first of these addresses that takes one: a name may have some that nobody listens on, such as
/// `localhost` its IPv6 one.
pub(super) async fn open(addresses: impl Iterator<Item = SocketAddr>, slow: bool) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for to in addresses {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if slow {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BYTES)?;
        }
        match socket.connect(to).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The short name of why there is no connection.
fn refusal(error: &Error) -> &'static str {
    match error {
        Error::Http(answer) if answer.status() == 503 => "full",
        Error::Http(_) => "refused",
        Error::Io(_) => "connect",
        _ => "broken",
    }
}
