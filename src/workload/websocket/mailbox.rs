//! What waits for a client: a bounded queue that never makes its sender wait.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::names::websocket::Sent;

/// A message for one client; its text is shared with the other clients that get it.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it is.
    pub kind: Sent,
    /// The message.
    pub text: Utf8Bytes,
}

/// The end that is written to; cheap to clone.
#[derive(Debug, Clone)]
pub struct Mailbox {
    letters: mpsc::Sender<Letter>,
    overflow: Arc<Notify>,
}

/// The end that the connection reads.
#[derive(Debug)]
pub struct Mail {
    letters: mpsc::Receiver<Letter>,
}

/// The news that a letter found no room.
#[derive(Debug)]
pub struct Overflow(Arc<Notify>);

impl Mailbox {
    /// A queue with room for this many letters.
    #[must_use]
    pub fn new(room: usize) -> (Self, Mail, Overflow) {
        let (sender, letters) = mpsc::channel(room);
        let overflow = Arc::new(Notify::new());
        (Self { letters: sender, overflow: Arc::clone(&overflow) }, Mail { letters }, Overflow(overflow))
    }

    /// Puts a letter into the queue; `false` when there was no room, which its reader is told.
    pub fn push(&self, letter: Letter) -> bool {
        match self.letters.try_send(letter) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                // Keeps the news for a reader that does not wait for it yet.
                self.overflow.notify_one();
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

impl Mail {
    /// The next letter; none when all mailboxes are gone.
    ///
    /// # Cancel safety
    /// No letter is lost.
    pub async fn next(&mut self) -> Option<Letter> {
        self.letters.recv().await
    }

    /// The next letter, if one waits.
    pub fn waiting(&mut self) -> Option<Letter> {
        self.letters.try_recv().ok()
    }
}

impl Overflow {
    /// Resolves once a letter found no room.
    ///
    /// # Cancel safety
    /// The news is not lost.
    pub async fn happened(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_mailbox_says_so_and_keeps_what_it_has() {
        let (mailbox, mut mail, overflow) = Mailbox::new(2);
        let letter = |text: &str| Letter { kind: Sent::Said, text: text.into() };
        assert!(mailbox.push(letter("1")) && mailbox.push(letter("2")));
        assert!(!mailbox.push(letter("3")));
        let news = tokio::time::timeout(std::time::Duration::from_secs(1), overflow.happened());
        news.await.expect("the overflow is told");
        assert_eq!(mail.next().await.unwrap().text.as_str(), "1");
        assert_eq!(mail.waiting().unwrap().text.as_str(), "2");
        assert!(mail.waiting().is_none());
    }
}
