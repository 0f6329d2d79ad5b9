//! Open-loop load: requests start when the profile says so, whether or not the earlier ones have been answered.
//!
//! Every latency counts from the *intended* start. A tool that counts from the moment it could send leaves out the time
//! that a request would have waited while the service stalled, and so reports a stall as one slow request.
//!
//! - [`profile`] says when requests start, [`mix`] which ones, [`target`] where they may go;
//! - [`run`] sends them, [`tally`] counts what came of them;
//! - [`view`] shows it while it runs, [`summary`] afterwards;
//! - [`bots`] play the game instead.

pub mod bots;
pub mod mix;
pub mod profile;
pub mod run;
pub mod summary;
pub mod tally;
pub mod target;
pub mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use mix::Mix;
use profile::Profile;
use target::Target;

/// Where to send what, and when.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The service.
    pub target: Target,
    /// The rates over time.
    pub profile: Profile,
    /// The requests and their weights.
    pub mix: Mix,
    /// Requests that may be unanswered at once; more wait for a free slot, and their waiting counts.
    pub max_in_flight: usize,
    /// Longest time from the sending of a request to the end of its answer, and longest wait for a free slot before it.
    pub timeout: Duration,
}
