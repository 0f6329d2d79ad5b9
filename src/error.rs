//! What can go wrong before the service serves, and the exit codes of the program.

use std::io;
use std::net::SocketAddr;

/// Exit code of a check that failed, or of a service that could not start.
pub const EXIT_FAILED: u8 = 1;

/// Exit code of bad configuration or arguments (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: set {variable} to a free address")]
    Listen {
        /// The variable that names it.
        variable: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime, a signal handler or a thread could not be set up.
    #[error("cannot set up {what}")]
    Setup {
        /// The part that failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The exporters could not be built from the configuration.
    #[error("cannot build the telemetry: {what}")]
    Telemetry {
        /// The part that failed.
        what: &'static str,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another part of the process has installed a `tracing` subscriber before.
    #[error("cannot install the log subscriber")]
    Subscriber(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The beginning of a text that is shown again, such as a value in a refusal, and a mark where more was.
#[must_use]
pub fn short(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The error and its causes in one line, each cause once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
