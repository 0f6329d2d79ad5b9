//! The load: a closed loop on keep-alive connections, with as little of its own as possible.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::CONNECTIONS;

/// What came of one load.
pub(crate) struct Load {
    /// Answers per second of the measured time.
    pub(crate) per_second: f64,
    /// CPU time of the service per answer in the measured time, in microseconds.
    pub(crate) cpu_us: f64,
    /// All answers, those of the warm-up too.
    pub(crate) answered: u64,
}

/// Asks for `path` on all connections; `cpu` is asked for the service's CPU time so far.
///
/// # Errors
/// When a connection breaks or an answer is not 200.
pub(crate) async fn load(
    address: SocketAddr,
    path: &str,
    warm_up: Duration,
    length: Duration,
    cpu: impl Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<Load> {
    let request: Rc<[u8]> = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes().into();
    let answered = Rc::new(Cell::new(0_u64));
    let stop = Rc::new(Cell::new(false));
    let connections = LocalSet::new();
    let running: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (request, answered, stop) = (Rc::clone(&request), Rc::clone(&answered), Rc::clone(&stop));
            connections.spawn_local(async move {
                let mut connection = Connection::open(address).await?;
                while !stop.get() {
                    connection.ask(&request).await?;
                    answered.set(answered.get() + 1);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let measured = async {
        tokio::time::sleep(warm_up).await;
        let (start, first, cpu_first) = (Instant::now(), answered.get(), cpu()?);
        tokio::time::sleep(length).await;
        let (elapsed, last, cpu_last) = (start.elapsed(), answered.get(), cpu()?);
        stop.set(true);
        for connection in running {
            connection.await.context("a connection panicked")??;
        }
        let answers = last - first;
        if answers == 0 {
            bail!("no answer within {elapsed:?}");
        }
        Ok(Load {
            per_second: answers as f64 / elapsed.as_secs_f64(),
            cpu_us: (cpu_last - cpu_first).as_secs_f64() * 1e6 / answers as f64,
            answered: answered.get(),
        })
    };
    connections.run_until(measured).await
}

/// A connection that reads just enough of an answer to find its end.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to the service")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let mut sent = 0;
        while sent < request.len() {
            match self.stream.try_write(&request[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error).context("cannot send a request"),
            }
        }
        let mut have = 0;
        loop {
            if let Some(length) = answer_length(&self.buffer[..have])? {
                if have == length {
                    return Ok(());
                }
                if length > self.buffer.len() || have > length {
                    bail!("an answer of {length} bytes, where {} are the most", self.buffer.len());
                }
            }
            match self.stream.try_read(&mut self.buffer[have..]) {
                Ok(0) => bail!("the service closed a connection"),
                Ok(bytes) => have += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => self.stream.readable().await?,
                Err(error) => return Err(error).context("cannot read an answer"),
            }
        }
    }
}

/// The length of the whole answer, once its head is there.
fn answer_length(read: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = read.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&read[..head])?;
    if !text.starts_with("HTTP/1.1 200") {
        bail!("the service answered {}", text.lines().next().unwrap_or_default());
    }
    let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
    let length: usize = length.context("an answer without a length")?.parse()?;
    Ok(Some(head + 4 + length))
}
