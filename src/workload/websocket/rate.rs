//! How many messages and bytes a client may send: buckets of tokens.

use tokio::time::Instant;

/// A bucket that refills at a constant rate.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    room: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: u32, room: u32) -> Self {
        let room = f64::from(room);
        Self { per_second: f64::from(per_second), room, tokens: room, filled: Instant::now() }
    }

    /// Takes so many tokens; `false`, and none is taken, when there are fewer.
    pub fn take(&mut self, amount: usize) -> bool {
        let amount = amount as f64;
        let now = Instant::now();
        let new = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + new).min(self.room);
        self.filled = now;
        let granted = self.tokens >= amount;
        if granted {
            self.tokens -= amount;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_then_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let granted = |bucket: &mut Bucket| (0..100).filter(|_| bucket.take(1)).count();
        assert_eq!(granted(&mut bucket), 3);
        tokio::time::advance(Duration::from_millis(201)).await;
        assert_eq!(granted(&mut bucket), 2);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(!bucket.take(4) && bucket.take(2) && !bucket.take(2));
        assert_eq!(granted(&mut bucket), 1);
    }
}
