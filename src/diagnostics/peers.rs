//! Other processes that may have the samples of a trace.
//!
//! All are asked at once, each for a limited time and amount. A question carries a header; who is asked with it does not
//! ask further, so questions cannot go in circles. The token goes to peers on this machine only that the operator
//! has named: a name may lead anywhere, and a port that nobody named may be another user's.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Uri, header};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
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
    /// Sent to peers on this machine that were named.
    token: Option<String>,
}

/// What a question to all peers has brought.
#[derive(Debug)]
pub(super) struct Answers<T> {
    /// Good answers, each with the base address of its peer.
    pub(super) given: Vec<(String, T)>,
    /// Those that gave none.
    pub(super) failed: Vec<Asked>,
}

/// One peer, and what became of asking it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Its base address.
    pub(super) peer: String,
    /// In words.
    pub(super) outcome: String,
}

/// Why a peer gave no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    #[error("no answer in 2 s")]
    Late,
    #[error("cannot be reached")]
    Unreachable,
    #[error(
        "refused: 401; the token is only told to peers on this machine that PHASELAB_DIAGNOSTICS_PEERS names, and theirs \
         must be the same"
    )]
    Unauthorized,
    #[error("refused: {0}")]
    Refused(u16),
    #[error("its answer has more than 16 MiB")]
    TooLarge,
    #[error("its answer cannot be read")]
    Unreadable,
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
        let token = config.token.as_ref().filter(|_| config.peers_named);
        let peers = config.peers.iter().map(|base| Peer {
            base: base.clone(),
            token: token.filter(|_| is_on_this_machine(base)).map(|token| token.reveal().to_owned()),
        });
        Ok(Self { client, peers: peers.collect() })
    }

    /// Asks all of them, until one answer is enough; `understand` reads what came with status 200.
    pub(super) async fn ask<T>(
        &self,
        path: &str,
        understand: impl Fn(&[u8]) -> Option<T>,
        is_enough: impl Fn(&T) -> bool,
    ) -> Answers<T> {
        let mut questions = JoinSet::new();
        for peer in &self.peers {
            let (base, request) = (peer.base.clone(), self.request(peer, path));
            questions.spawn(async move { (base, read(request).await) });
        }
        let mut answers = Answers { given: Vec::new(), failed: Vec::new() };
        while let Some(question) = questions.join_next().await {
            let Ok((peer, answer)) = question else { continue };
            match answer.and_then(|body| understand(&body).ok_or(Failed::Unreadable)) {
                Ok(answer) => {
                    let enough = is_enough(&answer);
                    answers.given.push((peer, answer));
                    if enough {
                        break;
                    }
                }
                Err(failed) => answers.failed.push(Asked { peer, outcome: failed.to_string() }),
            }
        }
        answers
    }

    /// What one of them has at a path.
    pub(super) async fn fetch(&self, base: &str, path: &str) -> Result<Bytes, Failed> {
        let peer = self.peers.iter().find(|peer| peer.base == base).ok_or(Failed::Unreachable)?;
        read(self.request(peer, path)).await
    }

    fn request(&self, peer: &Peer, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", peer.base)).header(HOP, "1");
        match &peer.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// Whether a request comes from a peer.
pub(super) fn is_hop(headers: &HeaderMap) -> bool {
    headers.contains_key(HOP)
}

/// The body of a good answer, unless it is too large.
async fn read(request: reqwest::RequestBuilder) -> Result<Bytes, Failed> {
    let failed = |error: reqwest::Error| if error.is_timeout() { Failed::Late } else { Failed::Unreachable };
    let mut response = request.send().await.map_err(failed)?;
    match response.status().as_u16() {
        200 => {}
        401 => return Err(Failed::Unauthorized),
        status => return Err(Failed::Refused(status)),
    }
    let too_large = |length: usize| length > MAX_BYTES;
    let announced = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(too_large) {
        return Err(Failed::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if too_large(body.len() + chunk.len()) {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn is_on_this_machine(base: &str) -> bool {
    let Ok(uri) = base.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::diagnostics::{Token, TokenSource};

    #[test]
    fn the_token_is_for_peers_that_were_named() {
        let told = |named: bool| {
            let config = Diagnostics {
                listen: SocketAddr::from(([127, 0, 0, 1], 6060)),
                token: Some(Token::new("0123456789abcdef", TokenSource::Variable).unwrap()),
                open: false,
                hosts: Vec::new(),
                peers: vec!["http://127.0.0.1:6061".to_owned(), "http://10.0.0.1:6061".to_owned()],
                peers_named: named,
            };
            Peers::new(&config).unwrap().peers.into_iter().map(|peer| peer.token.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(told(true), [true, false]);
        assert_eq!(told(false), [false, false], "anybody here may listen on the default's ports");
    }

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
