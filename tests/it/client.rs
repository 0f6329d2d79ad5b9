//! The smallest HTTP client: it sends any bytes, also those that a library would refuse to send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes on a busy machine: who waits in vain has found a fault, and only that takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Lossy where it is no text.
    pub(crate) body: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// Reads what is left of a connection that the server closes.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that refuses a body closes while we still send: what it said before is what counts.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let head = head.trim_end();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Self {
            status,
            headers: lines.map(header).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The trace and the span of the `traceresponse`.
    pub(crate) fn trace(&self) -> (String, String) {
        let parts: Vec<_> = self.header("traceresponse").unwrap().split('-').collect();
        assert_eq!((parts.len(), parts[0]), (4, "00"));
        (parts[1].to_owned(), parts[2].to_owned())
    }

    /// Asserts that this is a problem of this kind, and returns the document.
    pub(crate) fn problem(&self, status: u16, error_type: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["status"], status);
        assert_eq!(document["error_type"], error_type, "{document}");
        assert_eq!(document["type"], format!("urn:phaselab:problem:{error_type}"));
        assert!(document["title"].is_string() && document["detail"].is_string());
        document
    }
}

/// Opens a connection and sends `bytes`.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// A request that asks the server to close afterwards.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{headers}\r\n")
}
