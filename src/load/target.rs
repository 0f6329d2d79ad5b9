//! Where load may go: this machine, unless it is said twice.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The base address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Reads `http://host:port`, where the host is this machine or `allow_remote` is set.
    ///
    /// # Errors
    /// When the text is no such address; the text says what to write instead.
    pub fn parse(text: &str, allow_remote: bool) -> Result<Self, String> {
        let form = || format!("{text:?} is no http://host:port: write for example http://127.0.0.1:8080");
        let url = Url::parse(text).map_err(|_| form())?;
        let host = url.host_str().ok_or_else(form)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(form());
        }
        if !allow_remote && !loopback(host) {
            return Err(format!(
                "{host} is not this machine, and load on another one is an attack unless its owner agrees: \
                 use a loopback address, or add --allow-remote"
            ));
        }
        Ok(Self(url))
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        // Neither default is ever taken: the address has a host, and its scheme a port.
        format!("{}:{}", self.0.host_str().unwrap_or_default(), self.0.port_or_known_default().unwrap_or(80))
    }

    /// The address of `path` (with its query) on the service.
    ///
    /// # Errors
    /// When the path is none.
    pub fn join(&self, path: &str) -> Result<Url, String> {
        let url = self.0.join(path).map_err(|error| format!("the path {path:?} is no path: {error}"))?;
        // A path that begins like a host would lead elsewhere.
        if url.origin() == self.0.origin() { Ok(url) } else { Err(format!("the path {path:?} leads to another host")) }
    }
}

/// A name other than `localhost` may resolve to anything, now or later, so only addresses count.
fn loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_a_target() {
        for good in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://localhost:8080/", "http://[::1]:8080"] {
            Target::parse(good, false).unwrap();
        }
    }

    #[test]
    fn another_machine_is_one_only_on_demand() {
        for remote in [
            "http://192.0.2.1",
            "http://example.com",
            "http://localhost.example.com",
            "http://0.0.0.0:80",
            "http://127.0.0.1.example.com",
        ] {
            let error = Target::parse(remote, false).unwrap_err();
            assert!(error.contains("--allow-remote"), "{remote}: {error}");
            Target::parse(remote, true).unwrap();
        }
    }

    #[test]
    fn what_is_no_base_address_is_refused() {
        for bad in [
            "",
            "localhost:8080",
            "https://localhost",
            "http://",
            "http://localhost/a",
            "http://localhost/?a=b",
            "http://a@localhost",
            "http://localhost/#a",
        ] {
            assert!(Target::parse(bad, true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_authority_has_a_port() {
        for (text, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost", "localhost:80"),
            ("http://[::1]:1/", "[::1]:1"),
        ] {
            assert_eq!(Target::parse(text, false).unwrap().authority(), authority);
        }
    }

    #[test]
    fn a_path_stays_on_its_host() {
        let target = Target::parse("http://127.0.0.1:8080", false).unwrap();
        assert_eq!(target.join("/api?a=b").unwrap().as_str(), "http://127.0.0.1:8080/api?a=b");
        for path in ["//192.0.2.1/", "/\\192.0.2.1/", "http://192.0.2.1/"] {
            assert!(target.join(path).is_err(), "{path}");
        }
    }
}
