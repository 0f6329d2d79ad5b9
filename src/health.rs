//! Asks Prometheus whether a service is healthy: each of [`check`]s is a query and a bound, [`report`] is what came of them.

pub mod check;
pub mod report;

#[cfg(test)]
mod tests;

use std::time::Duration;

use check::Check;
use report::{Finding, Report};

use crate::verify::ask::{AskError, Client};
use crate::verify::prometheus::instant;

/// Where to ask, and for what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address of Prometheus.
    pub prometheus_url: String,
    /// The `service_name` of the service.
    pub service: String,
    /// What is checked.
    pub checks: Vec<Check>,
    /// Longest time of one question.
    pub timeout: Duration,
}

/// Asks every question once.
///
/// # Errors
/// When Prometheus cannot be asked or refuses a query: the others are then not worth more.
pub async fn round(settings: &Settings) -> Result<Report, AskError> {
    let client = Client::new(settings.timeout)?;
    let mut findings = Vec::with_capacity(settings.checks.len());
    for check in &settings.checks {
        let samples = instant(&client, &settings.prometheus_url, &check.query).await?;
        findings.push(Finding::new(check, samples));
    }
    Ok(Report::new(&settings.prometheus_url, &settings.service, findings))
}
