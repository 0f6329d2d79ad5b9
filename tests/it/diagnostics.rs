//! The private server from outside. Catches: profiles that strangers can take or read, refusals that do not say what to
//! do, slots that stay taken, pages that break.

mod access;
mod command;
mod faults;
mod limits;
mod pages;
mod profiles;
mod scenarios;
pub(crate) mod traces;

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use crate::client::{Answer, PATIENCE, send};
use crate::server::Server;

/// A service with its private server on a free port.
pub(crate) struct Private {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl Private {
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let mut all = vec![("PHASELAB_DIAGNOSTICS_LISTEN", "127.0.0.1:0"), ("PHASELAB_DIAGNOSTICS_PEERS", "none")];
        all.extend(variables);
        let server = Server::start(&all);
        let line = server.log.wait_for("diagnostics are listening");
        let address = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        Self { server, address }
    }

    /// Sends a request; `Host` is `localhost` unless the headers say otherwise.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
        send_to(self.address, method, path, headers)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::read(&mut self.send(method, path, headers))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// The value of the one series that has all of these in it.
    fn value(&self, parts: &[&str]) -> f64 {
        let series = self.server.series(parts);
        assert_eq!(series.len(), 1, "{parts:?}: {series:?}");
        series[0].rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a metric is as it should be.
    fn wait_for(&self, parts: &[&str], fits: impl Fn(f64) -> bool) {
        let started = Instant::now();
        while !fits(self.value(parts)) {
            assert!(started.elapsed() < PATIENCE, "{parts:?} is {}", self.value(parts));
        }
    }
}

/// Asks until the answer is good: on a busy machine what is asked about may not have come so far.
fn eventually(ask: impl Fn() -> Answer, good: impl Fn(&Answer) -> bool) -> Answer {
    let started = Instant::now();
    loop {
        let answer = ask();
        if good(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{answer:?}");
    }
}

pub(crate) fn send_to(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    let host = if headers.iter().any(|(name, _)| *name == "Host") { "" } else { "Host: localhost:6060\r\n" };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    send(address, format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n").as_bytes())
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
