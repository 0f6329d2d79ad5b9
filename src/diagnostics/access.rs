//! Who may ask the private server.
//!
//! Profiles tell how a program works, and taking them costs. So, in this order: the client is on this machine (or shows
//! a token, or comes to a container from a private network); the name it asked for is one of ours, else the page of a
//! stranger could have had it resolved to this machine (DNS rebinding); no page of another site sent it, unless somebody
//! followed a link to what is there already, else every page that a browser here shows could take profiles; and the token
//! is right, where there is one.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ask;
use crate::config::Diagnostics;
use crate::config::diagnostics::Token;
use crate::http::origin;
use crate::http::problem::{Kind, ParameterFault, Problem};
use crate::http::server::Ends;

/// What a browser says about the page that sent a request.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_USER: HeaderName = HeaderName::from_static("sec-fetch-user");

/// The rules of one server.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Token>,
    open: bool,
    hosts: Vec<String>,
    listen: IpAddr,
}

impl Access {
    /// The rules for a server that listens on `listen`.
    pub(super) fn new(config: &Diagnostics, listen: SocketAddr) -> Self {
        Self {
            token: config.token.clone(),
            open: config.open,
            hosts: config.hosts.clone(),
            listen: listen.ip().to_canonical(),
        }
    }

    /// Whether clients need a token.
    pub(super) fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks a request that came over a connection with these ends.
    ///
    /// # Errors
    /// The refusal, which says what to do.
    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, ends: Ends) -> Result<(), Problem> {
        self.peer(ends.peer.ip().to_canonical())?;
        let host = self.host(uri, headers, ends.local.ip().to_canonical())?;
        origin(method, uri, headers, &host)?;
        no_token_in_url(uri)?;
        self.token(headers)
    }

    /// Whether an address may ask at all.
    ///
    /// # Errors
    /// The refusal, which says what to do.
    pub(super) fn peer(&self, peer: IpAddr) -> Result<(), Problem> {
        if peer.is_loopback() || self.token.is_some() || self.open && is_private(peer) {
            return Ok(());
        }
        let detail = if self.open {
            format!(
                "{peer} is no private address, and without a token only those are answered: publish the port on the \
                 host's loopback address only (127.0.0.1:6060:6060), or demand a token with \
                 PHASELAB_DIAGNOSTICS_TOKEN_FILE"
            )
        } else {
            format!(
                "{peer} is another machine, and without a token only this one is answered: ask through a tunnel (ssh \
                 -L 6060:127.0.0.1:6060 <host>), or demand a token with PHASELAB_DIAGNOSTICS_TOKEN_FILE"
            )
        };
        Err(Problem::new(Kind::PeerNotAllowed, detail))
    }

    /// The `Host` header, if it and the address in the request line are names of this server.
    fn host(&self, uri: &Uri, headers: &HeaderMap, local: IpAddr) -> Result<Authority, Problem> {
        let mut given = headers.get_all(header::HOST).iter();
        let (first, second) = (given.next(), given.next());
        let host = first.filter(|_| second.is_none()).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let host = host.filter(|host| !host.as_str().contains('@'));
        let Some(host) = host else {
            let detail = "the request needs one Host header, such as localhost:6060";
            return Err(Problem::new(Kind::HostNotAllowed, detail));
        };
        for authority in [Some(&host), uri.authority()].into_iter().flatten() {
            // Pages print it in commands to copy, so it must be nothing but an address.
            if !has_plain_port(authority) {
                let detail =
                    format!("the port of {:?} is no number: ask for example localhost:6060", authority.as_str());
                return Err(Problem::new(Kind::HostNotAllowed, detail));
            }
            if !self.is_ours(authority.host(), local) {
                let detail = format!(
                    "{:?} is no name of this server: ask it as localhost or 127.0.0.1, or add the name to \
                     PHASELAB_DIAGNOSTICS_HOSTS",
                    authority.host()
                );
                return Err(Problem::new(Kind::HostNotAllowed, detail));
            }
        }
        Ok(host)
    }

    fn is_ours(&self, host: &str, local: IpAddr) -> bool {
        let host = host.to_ascii_lowercase();
        if host == "localhost" || self.hosts.contains(&host) {
            return true;
        }
        let address =
            host.trim_start_matches('[').trim_end_matches(']').parse().map(|host: IpAddr| host.to_canonical());
        // The unspecified address is where one listens, no name: browsers take it for this machine.
        address.is_ok_and(|host| host.is_loopback() || !host.is_unspecified() && (host == self.listen || host == local))
    }

    fn token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (given.next(), given.next());
        let shown = first.filter(|_| second.is_none()).and_then(|value| shown(value.to_str().ok()?));
        if shown.as_deref().is_some_and(|shown| token.matches(shown)) {
            return Ok(());
        }
        let what = if first.is_none() { "no token was shown" } else { "the token is another one" };
        let detail = format!(
            "{what}: send the header Authorization: Bearer <token>, or the token as the password of the address \
             (http://:<token>@host/), which browsers and go tool pprof turn into a header"
        );
        Err(Problem::new(Kind::TokenRequired, detail))
    }
}

/// Addresses that no router of the Internet carries.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// No port, or digits that are one.
fn has_plain_port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or(":");
    let number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    rest.is_empty() || rest.strip_prefix(':').is_some_and(number)
}

/// A page of another site must not change anything, nor take a profile by naming one as its image or by going there; that
/// somebody follows a link to what is there already is welcome.
fn origin(method: &Method, uri: &Uri, headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("(not ASCII)"));
    if let Some(origin) = text(&header::ORIGIN)
        && !origin::is_of(origin, host.as_str())
    {
        let detail = format!(
            "{method} from a page of {origin:?}: only pages of this server may send it; a program sends no Origin"
        );
        return Err(Problem::new(Kind::OriginNotAllowed, detail));
    }
    let Some(site) = text(&SEC_FETCH_SITE).filter(|site| !matches!(*site, "same-origin" | "none")) else {
        return Ok(());
    };
    let changes = method != Method::GET && method != Method::HEAD;
    let followed = text(&SEC_FETCH_MODE) == Some("navigate")
        && text(&SEC_FETCH_DEST) == Some("document")
        // Somebody clicked; a script alone may not go here.
        && text(&SEC_FETCH_USER) == Some("?1");
    if !changes && followed && !ask::is_capture(uri.path(), uri.query()) {
        return Ok(());
    }
    let detail = format!(
        "a browser sent this for a page of another origin (Sec-Fetch-Site: {site}), which may only link to pages and to \
         what is recorded: open the address itself, or ask with curl"
    );
    Err(Problem::new(Kind::OriginNotAllowed, detail))
}

/// Addresses end up in histories and logs.
fn no_token_in_url(uri: &Uri) -> Result<(), Problem> {
    let query = uri.query().unwrap_or_default();
    if !query.split('&').any(|pair| pair == "token" || pair.starts_with("token=")) {
        return Ok(());
    }
    Err(Problem::parameters(vec![ParameterFault {
        parameter: "token".to_owned(),
        value: "(withheld)".to_owned(),
        bound: "no parameter, because addresses end up in histories and logs: send the header Authorization: Bearer \
                <token>, and make a new token if this one was real"
            .to_owned(),
    }]))
}

/// The token in an `Authorization` header: all of a bearer's, or the password of a user.
fn shown(value: &str) -> Option<String> {
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    Some(pair.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests;
