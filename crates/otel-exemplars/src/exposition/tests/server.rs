//! A Prometheus and what it scrapes, both on loopback and both gone with the test.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::exposition::{Format, negotiate};

/// Serves one page in two formats, by the `Accept` header.
pub(super) struct Pages {
    address: SocketAddr,
    served: Arc<Mutex<BTreeSet<(String, Format)>>>,
}

impl Pages {
    pub(super) fn serve(open_metrics: String, text: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let served = Arc::new(Mutex::new(BTreeSet::new()));
        let pages = Self { address: listener.local_addr().unwrap(), served: Arc::clone(&served) };
        // Ends with the process: it waits for connections only.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
                let header = |line: &String| Some(line.to_lowercase().strip_prefix("accept:")?.trim().to_owned());
                let accept = lines.take_while(|line| !line.is_empty()).filter_map(|line| header(&line)).last();
                let format = negotiate(accept.as_deref());
                served.lock().unwrap().insert((path, format));
                let body = if format == Format::OpenMetrics { &open_metrics } else { &text };
                let (kind, length) = (format.content_type(), body.len());
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
                // A scraper that hangs up early is seen by its missing samples.
                let _ = (&stream).write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
            }
        });
        pages
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn served(&self) -> BTreeSet<(String, Format)> {
        self.served.lock().unwrap().clone()
    }
}

pub(super) struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts it with an OTLP receiver and one job per format, and waits until it is ready.
    pub(super) fn start(program: &str, folder: &Path, target: SocketAddr) -> Self {
        let job = |name: &str, protocol: &str| {
            format!(
                "  - job_name: {name}\n    metrics_path: /{name}\n    scrape_protocols: [{protocol}]\n    \
                 static_configs: [{{targets: ['{target}']}}]\n"
            )
        };
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             otlp: {{keep_identifying_resource_attributes: true}}\n\
             scrape_configs:\n{}{}",
            job("om", "OpenMetricsText1.0.0"),
            job("text", "PrometheusText0.0.4")
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        // Free a moment ago; the program itself cannot be asked for any free port.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, address };
        until("prometheus is ready", || {
            TcpStream::connect(address).ok()?;
            (prometheus.get("/-/ready").0 == 200).then_some(())
        });
        prometheus
    }

    pub(super) fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path, "text/plain", &[])
    }

    pub(super) fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        self.request("POST", path, kind, body)
    }

    /// HTTP/1.0, so that the answer comes in one piece and ends with the connection.
    fn request(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (address, length) = (self.address, body.len());
        let head =
            format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer; half a minute is some twenty scrapes.
pub(super) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "waited 30 s until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
