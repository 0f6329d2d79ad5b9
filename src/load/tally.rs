//! Counts what came of the requests.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart: twice the longest timeout, once for the wait and once for the answer.
const LONGEST_US: u64 = 7_200_000_000;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was answered with this status.
    Status(u16),
    /// The answer did not come, or did not end, in time.
    Timeout,
    /// No slot became free in time, so this client did not even send it.
    ClientOverload,
    /// No connection could be made.
    Connect,
    /// The connection broke before the answer was complete.
    Broken,
}

impl Outcome {
    /// Whether the request did what it was sent for.
    #[must_use]
    pub fn succeeded(self) -> bool {
        matches!(self, Self::Status(status) if status < 400)
    }

    /// The name under which a failure is counted.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Status(status) => format!("http_{status}"),
            Self::Timeout => "timeout".to_owned(),
            Self::ClientOverload => "client_overload".to_owned(),
            Self::Connect => "connect".to_owned(),
            Self::Broken => "broken".to_owned(),
        }
    }

    /// Whether its time is a latency of the service. Requests given up count with the time they were given, since
    /// leaving out the slowest would flatter; a refused connection is quick and would flatter if it counted.
    fn has_latency(self) -> bool {
        !matches!(self, Self::Connect | Self::Broken)
    }
}

/// Counts and latencies of some requests.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Requests that came to an end.
    pub requests: u64,
    /// Those of them that failed, by name.
    pub errors: BTreeMap<String, u64>,
    /// Microseconds from the intended start to the end of the answer; three digits, in about 200 KiB.
    latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order");
        Self { requests: 0, errors: BTreeMap::new(), latency }
    }
}

impl Tally {
    /// Counts a request that ended `latency` after its intended start.
    pub fn add(&mut self, outcome: Outcome, latency: Duration) {
        self.requests += 1;
        if !outcome.succeeded() {
            *self.errors.entry(outcome.name()).or_default() += 1;
        }
        if outcome.has_latency() {
            self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Requests that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The latency that this share of the requests (0 to 1) did not exceed; none before the first.
    #[must_use]
    pub fn latency(&self, share: f64) -> Option<Duration> {
        (!self.latency.is_empty()).then(|| Duration::from_micros(self.latency.value_at_quantile(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let mut tally = Tally::default();
        assert_eq!(tally.latency(0.5), None);
        (1..=1000).for_each(|millis| tally.add(Outcome::Status(200), Duration::from_millis(millis)));
        for (share, millis) in [(0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            let latency = tally.latency(share).unwrap().as_secs_f64() * 1_000.0;
            assert!((latency - f64::from(millis)).abs() <= 1.0, "p{share}: {latency} ms");
        }
    }

    #[test]
    fn what_was_given_up_counts_as_slow_and_what_was_refused_not_as_quick() {
        let mut tally = Tally::default();
        tally.add(Outcome::Status(503), Duration::from_millis(10));
        tally.add(Outcome::Timeout, Duration::from_secs(30));
        tally.add(Outcome::ClientOverload, Duration::from_secs(30));
        tally.add(Outcome::Connect, Duration::from_micros(50));
        tally.add(Outcome::Broken, Duration::from_micros(50));
        assert!(tally.latency(0.0).unwrap() >= Duration::from_millis(10));
        assert!(tally.latency(0.5).unwrap() >= Duration::from_secs(29));
        assert_eq!((tally.requests, tally.failed()), (5, 5));
        let names: Vec<_> = tally.errors.keys().map(String::as_str).collect();
        assert_eq!(names, ["broken", "client_overload", "connect", "http_503", "timeout"]);
    }
}
