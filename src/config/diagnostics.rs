//! The private server, its console and the profiler behind it (`PHASELAB_DIAGNOSTICS_*`, `PHASELAB_CONSOLE_BYTES`,
//! `PHASELAB_PROFILER_*`).

mod token;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;

use super::Role;
use super::duration;
use super::source::{Environment, Faults, Flag, Reader};

pub use token::{TOKEN_FILE, Token, TokenError, TokenSource};

const LISTEN: &str = "PHASELAB_DIAGNOSTICS_LISTEN";
const PEERS: &str = "PHASELAB_DIAGNOSTICS_PEERS";

/// The value of `PHASELAB_DIAGNOSTICS_OPEN` that opens.
pub const LOOPBACK_PUBLISHED: &str = "loopback-published";

/// The diagnostics ports of the workers on the same machine.
const DEFAULT_PEERS: [&str; 2] = ["http://127.0.0.1:6061", "http://127.0.0.1:6062"];

/// Names and peers at most; each peer is asked at once with the others.
const MAX_LISTED: usize = 16;

/// Who may ask the private server, and where it listens.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    /// The address of the private server.
    pub listen: SocketAddr,
    /// What clients must show; `None` admits this machine alone, or see [`Self::open`].
    pub token: Option<Token>,
    /// Whether private addresses are admitted without a token: for a container whose port is published on loopback.
    pub open: bool,
    /// Host names under which clients may ask, besides those of this machine; in lower case.
    pub hosts: Vec<String>,
    /// Base addresses of processes that may have what this one lacks.
    pub peers: Vec<String>,
    /// Whether somebody named them. The ports of the default may be anybody's, so those are told no token.
    pub peers_named: bool,
}

/// What the profiler keeps without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilerSettings {
    /// CPU samples per second of CPU time; 0 turns the recorder off.
    pub hz: u32,
    /// How long samples are kept.
    pub window: Duration,
    /// Memory for them, in bytes.
    pub bytes: usize,
}

/// `None` turns the private server off.
pub(super) fn diagnostics(reader: &mut Reader<'_>) -> Option<Diagnostics> {
    let before = reader.refused();
    let listen = reader.strict(
        LISTEN,
        Some(SocketAddr::from(([127, 0, 0, 1], 6060))),
        (
            "is neither an IP address with a port nor off",
            "write for example 127.0.0.1:6060 or [::1]:6060, or off for no diagnostics",
        ),
        |text| if text == "off" { Some(None) } else { text.parse().ok().map(Some) },
    );
    let token = token::read(reader);
    let open = reader.strict(
        "PHASELAB_DIAGNOSTICS_OPEN",
        false,
        (
            "is neither off nor loopback-published",
            "write loopback-published if the port is published on the host's loopback address only",
        ),
        |text| match text {
            LOOPBACK_PUBLISHED => Some(true),
            "off" => Some(false),
            _ => None,
        },
    );
    let hosts = reader.strict(
        "PHASELAB_DIAGNOSTICS_HOSTS",
        Vec::new(),
        ("is no list of up to 16 host names without ports", "write for example lab.example.org,phaselab"),
        |text| list(text, host),
    );
    let peers_named = reader.text(PEERS).is_some();
    let peers = reader.strict(
        PEERS,
        DEFAULT_PEERS.map(str::to_owned).to_vec(),
        ("is neither none nor a list of up to 16 base addresses", "write for example http://127.0.0.1:6061"),
        |text| if text == "none" { Some(Vec::new()) } else { list(text, peer) },
    );
    let listen = listen?;
    // A token that is wrong is a fault already; that there is none is not another one.
    if !listen.ip().to_canonical().is_loopback() && token.is_none() && !open && reader.refused() == before {
        reader.refuse(
            LISTEN,
            &listen.to_string(),
            "can be reached from other machines, and profiles tell how the program works",
            "listen on 127.0.0.1, or demand a token with PHASELAB_DIAGNOSTICS_TOKEN_FILE, or, in a container whose \
             port is published on the host's loopback address only, set PHASELAB_DIAGNOSTICS_OPEN=loopback-published",
        );
    }
    Some(Diagnostics { listen, token, open, hosts, peers, peers_named })
}

/// The token that a client of the private server shows: from the variables that the server itself reads, or from the file
/// of its flag.
///
/// # Errors
/// What is wrong with it.
pub fn client_token(env: &dyn Environment, file: Option<Flag>) -> Result<Option<Token>, Faults> {
    let flags: Vec<_> = file.into_iter().collect();
    let mut reader = Reader::new(Role::Service, env, &flags);
    let token = token::read(&mut reader);
    let faults = reader.into_faults();
    if faults.0.is_empty() { Ok(token) } else { Err(faults) }
}

pub(super) fn console_bytes(reader: &mut Reader<'_>) -> usize {
    reader.strict(
        "PHASELAB_CONSOLE_BYTES",
        32 << 20,
        (
            "is neither 0 nor a whole number from 1048576 to 1073741824",
            "write a number of bytes, for example 33554432, or 0 for no console",
        ),
        |text| text.parse().ok().filter(|bytes| *bytes == 0 || (1 << 20..=1 << 30).contains(bytes)),
    )
}

pub(super) fn profiler(reader: &mut Reader<'_>) -> ProfilerSettings {
    let hz = reader.strict(
        "PHASELAB_PROFILER_HZ",
        99,
        ("is no whole number from 0 to 999", "write for example 99, or 0 to keep nothing without being asked"),
        |text| text.parse().ok().filter(|hz| *hz <= 999),
    );
    let window = reader.strict(
        "PHASELAB_PROFILER_WINDOW",
        Duration::from_secs(600),
        ("is no duration with a unit (h, m, s) from 10s to 24h", "write for example 10m"),
        |text| {
            let window = duration::parse(text)?;
            (Duration::from_secs(10)..=Duration::from_secs(86_400)).contains(&window).then_some(window)
        },
    );
    let bytes = reader.strict(
        "PHASELAB_PROFILER_BYTES",
        16 << 20,
        ("is no whole number from 1048576 to 1073741824", "write a number of bytes, for example 16777216"),
        |text| text.parse().ok().filter(|bytes| (1 << 20..=1 << 30).contains(bytes)),
    );
    ProfilerSettings { hz, window, bytes }
}

fn list(text: &str, parse: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let all: Option<Vec<_>> = text.split(',').map(|one| parse(one.trim())).collect();
    all.filter(|all| all.len() <= MAX_LISTED)
}

/// A name or an address as it stands in a `Host` header, without the port.
fn host(text: &str) -> Option<String> {
    let address = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match address {
        Ok(IpAddr::V6(address)) => Some(format!("[{address}]")),
        Ok(IpAddr::V4(address)) => Some(address.to_string()),
        Err(_) => (!text.is_empty() && name(text)).then(|| text.to_ascii_lowercase()),
    }
}

/// `http://host:port`, without a slash at the end.
fn peer(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let bare = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    (bare && !authority.as_str().contains('@')).then(|| format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_peers_are_bare() {
        assert_eq!(list("Lab.example, ::1,10.0.0.1", host).unwrap(), ["lab.example", "[::1]", "10.0.0.1"]);
        for bad in ["", "lab:6060", "http://lab", "a,,b", "lab/x", "l b"] {
            assert_eq!(list(bad, host), None, "{bad:?}");
        }
        assert_eq!(list("http://a:1/,http://[::1]:2", peer).unwrap(), ["http://a:1", "http://[::1]:2"]);
        for bad in ["", "a:1", "https://a", "http://a/x", "http://a?x", "http://u:p@a", "/x"] {
            assert_eq!(list(bad, peer), None, "{bad:?}");
        }
        assert_eq!(list(&vec!["a"; MAX_LISTED + 1].join(","), host), None);
    }
}
