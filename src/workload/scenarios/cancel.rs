//! Tells a scenario, and all that belongs to it, to stop.

use tokio::sync::watch;

/// Stops what holds the [`Cancel`] when it is used or dropped.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// The listening side; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// Both sides.
    #[must_use]
    pub fn pair() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(false);
        (Canceller(sender), Self(receiver))
    }

    /// Resolves once it is time to stop.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn cancelled(&mut self) {
        // Fails when the other side is gone, and then nobody wants the scenario either.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Canceller {
    /// Says that it is time to stop.
    pub fn cancel(&self) {
        // Without a receiver everything has stopped already.
        let _ = self.0.send(true);
    }
}
