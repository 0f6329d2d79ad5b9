//! Other processes that may have the samples of a trace.
//!
//! All are asked at once, each for a limited time and amount. A question carries a header; who is asked with it does not
//! ask further, so questions cannot go in circles. The token goes to peers on this machine only: they have the same
//! operator, while a name may lead anywhere.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Uri, header};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use crate::config::Diagnostics;

/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much a peer may say: a flame graph or a profile of one trace is far smaller.
const MAX_BYTES: usize = 16 << 20;

/// Marks a question of a peer.
const HOP: HeaderName = HeaderName::from_static("phaselab-peer");

/// The peers of this process.
#[derive(Debug)]
pub(super) struct Peers {
    client: reqwest::Client,
    peers: Vec<Peer>,
}

#[derive(Debug, Clone)]
struct Peer {
    base: String,
    /// Sent to peers on this machine.
    token: Option<String>,
}

/// What a peer has.
#[derive(Debug)]
pub(super) struct Found {
    /// The peer's base address.
    pub(super) base: String,
    pub(super) body: Bytes,
}

impl Peers {
    /// The configured peers.
    pub(super) fn new(config: &Diagnostics) -> io::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            // A peer is where the configuration says, not where an answer or the environment sends us.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let token = config.token.as_ref();
        let peers = config.peers.iter().map(|base| Peer {
            base: base.clone(),
            token: token.filter(|_| is_on_this_machine(base)).map(|token| token.reveal().to_owned()),
        });
        Ok(Self { client, peers: peers.collect() })
    }

    /// The base addresses.
    pub(super) fn bases(&self) -> impl Iterator<Item = &str> {
        self.peers.iter().map(|peer| peer.base.as_str())
    }

    /// The first good answer to a question; `is_good` looks at what came with status 200.
    pub(super) async fn ask(&self, path: &str, is_good: impl Fn(&[u8]) -> bool) -> Option<Found> {
        let mut answers = JoinSet::new();
        for peer in &self.peers {
            let mut request = self.client.get(format!("{}{path}", peer.base)).header(HOP, "1");
            if let Some(token) = &peer.token {
                request = request.bearer_auth(token);
            }
            let base = peer.base.clone();
            answers.spawn(async move { read(request).await.map(|body| Found { base, body }) });
        }
        while let Some(answer) = answers.join_next().await {
            if let Ok(Some(found)) = answer
                && is_good(&found.body)
            {
                return Some(found);
            }
        }
        None
    }
}

/// Whether a request comes from a peer.
pub(super) fn is_hop(headers: &HeaderMap) -> bool {
    headers.contains_key(HOP)
}

/// The body of a good answer, unless it is too large.
async fn read(request: reqwest::RequestBuilder) -> Option<Bytes> {
    let mut response = request.send().await.ok().filter(|response| response.status() == 200)?;
    let too_large = |length: usize| length > MAX_BYTES;
    let announced = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(too_large) {
        return None;
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if too_large(body.len() + chunk.len()) {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body.freeze())
}

fn is_on_this_machine(base: &str) -> bool {
    let Ok(uri) = base.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for ours in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "http://127.9.9.9:1"] {
            assert!(is_on_this_machine(ours), "{ours}");
        }
        for other in ["http://10.0.0.1:1", "http://worker:6061", "http://localhost.evil:1", "http://127.0.0.1.evil"] {
            assert!(!is_on_this_machine(other), "{other}");
        }
    }
}
