//! Short questions to programs on this machine.

use std::time::Duration;

/// The status and the body of a GET, whatever the status is.
///
/// # Errors
/// If there is no answer within `timeout`.
pub fn get(url: &str, timeout: Duration) -> Result<(u16, String), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // Only loopback is asked; a proxy for the outside must not see it.
        .proxy(None)
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    let status = response.status().as_u16();
    Ok((status, response.body_mut().read_to_string()?))
}

/// Whether `url` answers with a status from 200 to 299, and if not, what came instead.
///
/// # Errors
/// The status with the start of its body, or why there was no answer.
pub fn is_ready(url: &str) -> Result<(), String> {
    match get(url, Duration::from_secs(2)) {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, body)) => Err(format!("{status} {}", body.lines().next().unwrap_or_default())),
        Err(error) => Err(error.to_string()),
    }
}
