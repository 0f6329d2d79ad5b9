//! Players of the game that check what they get.
//!
//! Each broadcast of a room has a number, and the service says with which number a player came and left. So each bot knows
//! exactly which ones it is due: those between, each once, in order. What a bot says carries when it was meant to say it,
//! and every latency counts from there.
//!
//! - [`bot`] is one player, [`check`] its account of the numbers;
//! - [`run`] has them all play, [`report`] shows what came of it.

pub mod bot;
pub mod check;
pub mod report;
pub mod run;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::target::Target;

/// Most players: each is a connection of this process.
pub const MAX_PLAYERS: u16 = 1_000;

/// Lowest rate, per second: one message in a hundred seconds.
const MIN_RATE: f64 = 0.01;

/// Highest rate, per second: far above what a room takes, so it only catches slips.
const MAX_RATE: f64 = 10_000.0;

/// Who plays where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service.
    pub target: Target,
    /// The room.
    pub room: String,
    /// Players, with the slow ones.
    pub players: u16,
    /// Those of them who do not read.
    pub slow: u16,
    /// Messages per second of all players together.
    pub rate: f64,
    /// How long they play.
    pub duration: Duration,
    /// Longest wait for an answer of the service.
    pub timeout: Duration,
}

impl Plan {
    /// Those who read.
    #[must_use]
    pub fn readers(&self) -> u64 {
        u64::from(self.players - self.slow)
    }

    /// The plan, if its numbers fit together.
    ///
    /// # Errors
    /// The text says what to write instead.
    pub fn checked(self) -> Result<Self, String> {
        let Self { players, slow, rate, duration, .. } = self;
        if slow >= players {
            return Err(format!(
                "of {players} players {slow} cannot be slow, one has to play: write a smaller --slow-players"
            ));
        }
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(format!(
                "the rate {rate} is not from {MIN_RATE} to {MAX_RATE} per second: write for example 10"
            ));
        }
        if duration.is_zero() || duration > Duration::from_secs(86_400) {
            return Err(format!("the duration {duration:?} is not above 0s and at most 24h: write for example 20s"));
        }
        Ok(self)
    }
}
