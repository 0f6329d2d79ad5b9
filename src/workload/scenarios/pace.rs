//! Does things at a steady rate, up to a number of them, until a scenario is cancelled.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{Cancel, Parameter, Unit};

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(100);

/// A steady rate.
#[derive(Debug)]
pub(super) struct Pace {
    cancel: Cancel,
    ticks: Interval,
    started: Instant,
    per_second: u64,
    limit: u64,
    done: u64,
}

impl Pace {
    pub(super) fn new(cancel: Cancel, per_second: u64, limit: u64) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { cancel, ticks, started: Instant::now(), per_second, limit, done: 0 }
    }

    /// Resolves with true each time that something is due, and with false once there is no more to do.
    pub(super) async fn next(&mut self) -> bool {
        loop {
            if self.done >= self.limit || self.cancel.is_cancelled() {
                return false;
            }
            let due = self.started.elapsed().as_millis() * u128::from(self.per_second) / 1_000;
            if u128::from(self.done) < due {
                self.done += 1;
                return true;
            }
            tokio::select! {
                () = self.cancel.cancelled() => return false,
                _ = self.ticks.tick() => {}
            }
        }
    }

    /// Waits for the end of the scenario.
    pub(super) async fn hold(mut self) {
        self.cancel.cancelled().await;
    }
}

/// How fast something grows.
pub(super) const fn rate(unit: &'static str, default: u64, max: u64) -> Parameter {
    Parameter { name: "rate", about: "how fast it grows", unit: Unit::Of(unit), default, min: 1, max }
}

/// How far something grows.
pub(super) const fn limit(unit: &'static str, default: u64, max: u64) -> Parameter {
    Parameter { name: "limit", about: "where it stops growing", unit: Unit::Of(unit), default, min: 1, max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_up_to_the_limit() {
        let (canceller, cancel) = Cancel::pair();
        let mut pace = Pace::new(cancel.clone(), 5, 12);
        let started = Instant::now();
        let mut times = Vec::new();
        while pace.next().await {
            times.push(started.elapsed().as_millis());
        }
        assert_eq!(times, (1..=12).map(|one| one * 200).collect::<Vec<_>>());
        canceller.cancel();
        pace.hold().await;
        assert!(!Pace::new(cancel, 5, 12).next().await, "nothing is done after the end");
    }
}
