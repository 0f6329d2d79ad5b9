//! Asks the diagnostics server of a running service.

use std::time::Duration;

use axum::http::{Method, Uri};
use clap::Args;
use serde::Deserialize;

use crate::config::diagnostics::{TOKEN_FILE, client_token};
use crate::config::{Flag, ProcessEnvironment};
use crate::error::{EXIT_FAILED, EXIT_USAGE, chain};

/// Nothing could be asked.
pub(super) const EXIT_UNREACHABLE: u8 = 2;

/// Where it is, and what it wants to see.
#[derive(Debug, Clone, Args)]
pub(super) struct Private {
    /// Base address of the diagnostics server.
    #[arg(long, env = "PHASELAB_DIAGNOSTICS_URL", default_value = "http://127.0.0.1:6060")]
    url: String,
    /// File with the token, where the server asks for one [PHASELAB_DIAGNOSTICS_TOKEN_FILE, or the token itself in
    /// PHASELAB_DIAGNOSTICS_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
}

/// Why there is no answer, and the exit code.
#[derive(Debug)]
pub(super) struct Failure(pub(super) u8, pub(super) String);

/// A refusal of the service, as far as it is shown.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

impl Private {
    /// The address of a path.
    ///
    /// # Errors
    /// When the base address is none.
    pub(super) fn address(&self, path: &str) -> Result<String, Failure> {
        let base = self.url.trim_end_matches('/');
        let uri = base.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.query().is_none());
        if uri.is_none() {
            let why = format!("--url={base:?} is no http address: write for example http://127.0.0.1:6060");
            return Err(Failure(EXIT_USAGE, why));
        }
        Ok(format!("{base}{path}"))
    }

    /// Sends a request without a body, and reads the answer; all of it may take `limit`.
    ///
    /// # Errors
    /// When nobody answers, or the service refuses.
    pub(super) async fn ask(&self, method: Method, url: &str, limit: Duration) -> Result<Vec<u8>, Failure> {
        let unreachable = |error: reqwest::Error| {
            let why = format!(
                "cannot ask {}: {}; start phaselab serve, or name another address with --url",
                self.url,
                chain(&error.without_url())
            );
            Failure(EXIT_UNREACHABLE, why)
        };
        let client = reqwest::Client::builder().timeout(limit).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let mut request = client.build().map_err(unreachable)?.request(method, url);
        let file = self.token_file.clone().map(|value| Flag { variable: TOKEN_FILE, flag: "--token-file", value });
        let token = client_token(&ProcessEnvironment, file);
        if let Some(token) = token.map_err(|faults| Failure(EXIT_USAGE, faults.to_string()))? {
            request = request.bearer_auth(token.reveal());
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body.into());
        }
        let detail = serde_json::from_slice(&body).map(|refusal: Refusal| refusal.detail);
        let detail = detail.unwrap_or_else(|_| format!("{url} is not served there: is it a diagnostics server?"));
        let code = if status == 400 { EXIT_USAGE } else { EXIT_FAILED };
        let how = if status == 401 { "; here: --token-file <file>" } else { "" };
        Err(Failure(code, format!("{} {detail}{how}", status.as_u16())))
    }
}

/// Reads an answer of the service.
///
/// # Errors
/// When it is something else.
pub(super) fn read<'a, T: Deserialize<'a>>(url: &str, what: &str, body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let why = format!("{url} answered something else than {what} ({error}): is it a diagnostics server?");
        Failure(EXIT_FAILED, why)
    })
}
