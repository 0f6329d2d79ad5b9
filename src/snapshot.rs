//! Reads the metrics of a running service from its own page, without Prometheus.
//!
//! - [`openmetrics`] takes the page apart;
//! - [`reading`] groups its samples by metric and tells rates from two readings;
//! - [`quantile`] is what a histogram says about shares of its records.

pub mod openmetrics;
pub mod quantile;
pub mod reading;

use std::time::Duration;

use crate::verify::ask::{AskError, Client};
use openmetrics::{Fault, Format};
use reading::Reading;

/// Largest page that is read: a service of this lab writes about 100 kB.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Why there is no reading.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The service cannot be asked, or refuses.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What came is no page of metrics.
    #[error("{url} answered {what} instead of OpenMetrics text, beginning with {begins:?}")]
    Other {
        /// The address asked.
        url: String,
        /// The content type.
        what: String,
        /// The first characters.
        begins: String,
    },
    /// The page breaks a rule of the format.
    #[error("{url} answered with a broken page")]
    Broken {
        /// The address asked.
        url: String,
        /// Where and how.
        source: Fault,
    },
}

/// Asks services for their pages.
#[derive(Debug)]
pub struct Reader(Client);

impl Reader {
    /// A reader that waits no longer than `timeout` for a page.
    ///
    /// # Errors
    /// When the client library refuses its settings.
    pub fn new(timeout: Duration) -> Result<Self, AskError> {
        Client::accepting(timeout, Format::ACCEPT, MAX_PAGE_BYTES).map(Self)
    }

    /// Reads `base` + `/metrics`.
    ///
    /// # Errors
    /// When there is no page, or none that can be read.
    pub async fn read(&self, base: &str) -> Result<Reading, SnapshotError> {
        let answer = self.0.get(base, "/metrics", &[]).await?.ok()?;
        let text = String::from_utf8_lossy(&answer.body);
        let kind = answer.content_type.as_deref().unwrap_or("something without a type");
        let Some(format) = Format::of(kind) else {
            let begins = text.chars().take(60).collect();
            return Err(SnapshotError::Other { url: answer.url, what: kind.to_owned(), begins });
        };
        match openmetrics::parse(format, &text) {
            Ok(families) => Ok(Reading::new(answer.url, families)),
            Err(source) => Err(SnapshotError::Broken { url: answer.url, source }),
        }
    }
}
