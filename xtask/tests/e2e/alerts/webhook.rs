//! A receiver of alerts, which remembers what it was told.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::watch::{Alert, alert};

/// Each alert that was told, with `firing` or `resolved`.
pub(super) type Told = Arc<Mutex<BTreeSet<(Alert, String)>>>;

/// Listens for what Alertmanager tells, as long as the test runs.
pub(super) fn listen() -> (u16, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Told::default();
    let heard = Arc::clone(&told);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let message: Value = serde_json::from_slice(&body).unwrap();
            for one in message["alerts"].as_array().unwrap() {
                let status = one["status"].as_str().unwrap().to_owned();
                heard.lock().unwrap().insert((alert(&one["labels"]), status));
            }
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (port, told)
}
