//! A stream that gives up on a client that sends too many bytes.
//!
//! The library that reads frames says nothing of those that complete no message, and a message may have any number of
//! empty ones. What they cost grows with their bytes, so bytes are what is bounded here, below the library.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::workload::websocket::rate::Bucket;

/// A stream that may be read as long as there are tokens, one for a byte.
#[derive(Debug)]
pub(super) struct Budget<S> {
    stream: S,
    bytes: Bucket,
}

impl<S> Budget<S> {
    pub(super) fn new(stream: S, bytes: Bucket) -> Self {
        Self { stream, bytes }
    }

    /// The stream itself, to read without a budget what is thrown away.
    pub(super) fn unbounded(&mut self) -> &mut S {
        &mut self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Budget<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(match self.bytes.take(buffer.filled().len() - before) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the client sends too many bytes")),
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Budget<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_may_be_read_and_then_the_rate() {
        let (ours, mut theirs) = duplex(1_000);
        theirs.write_all(&[7; 1_000]).await.unwrap();
        let mut stream = Budget::new(ours, Bucket::new(10, 100));
        stream.read_exact(&mut [0; 100]).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        tokio::time::advance(Duration::from_secs(2)).await;
        stream.read_exact(&mut [0; 20]).await.unwrap();
        assert!(stream.read_u8().await.is_err());
        // What is thrown away costs nothing.
        stream.unbounded().read_exact(&mut [0; 500]).await.unwrap();
    }
}
