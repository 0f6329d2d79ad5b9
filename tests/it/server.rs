//! The program under test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use crate::client::{Answer, PATIENCE, head, send};

/// What a finished run of the program left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with only these variables in its environment.
pub(crate) fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phaselab"));
    command.env_clear().envs(variables.iter().copied());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let output = command(variables).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The lines that the program has logged; each is a JSON object, or the test fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Vec<Value>>, Condvar)>);

impl Log {
    fn push(&self, line: &str) {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        self.0.0.lock().unwrap().push(line);
        self.0.1.notify_all();
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.0.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, message: &str) -> usize {
        self.lines().iter().filter(|line| line["message"] == message).count()
    }

    /// The first line with this message, once it is there.
    pub(crate) fn wait_for(&self, message: &str) -> Value {
        let found = |lines: &[Value]| lines.iter().find(|line| line["message"] == message).cloned();
        let lines = self.0.0.lock().unwrap();
        let (lines, _) = self.0.1.wait_timeout_while(lines, PATIENCE, |lines| found(lines).is_none()).unwrap();
        found(&lines).unwrap_or_else(|| panic!("no line {message:?} among {lines:#?}"))
    }
}

/// A server that is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    reader: Option<JoinHandle<()>>,
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

impl Server {
    /// Starts a server that exports nothing and keeps its rows in memory, unless `variables` say otherwise.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_as(&[], variables)
    }

    /// The same with arguments, for the command that they name.
    pub(crate) fn start_as(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let defaults = [
            ("PHASELAB_LISTEN", "127.0.0.1:0"),
            ("PHASELAB_DATABASE", ":memory:"),
            ("PHASELAB_DIAGNOSTICS_LISTEN", "off"),
            // On a busy machine requests and exports take long, and neither is late because of that.
            ("PHASELAB_REQUEST_TIMEOUT", "120s"),
            ("PHASELAB_DECISION_WAIT", "300s"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ];
        let mut child = command(&defaults)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::default();
        let (lines, to) = (BufReader::new(child.stdout.take().unwrap()).lines(), log.clone());
        let reader = std::thread::spawn(move || lines.for_each(|line| to.push(&line.unwrap())));
        let address = log.wait_for("listening")["fields"]["address"].as_str().unwrap().parse().unwrap();
        Self { child, reader: Some(reader), address, log }
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::read(&mut send(self.address, head(method, path, headers).as_bytes()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[])
    }

    /// The page that Prometheus would read.
    pub(crate) fn metrics(&self) -> String {
        self.request("GET", "/metrics", &[("Accept", "application/openmetrics-text; version=1.0.0")]).body
    }

    /// The lines of one metric family that have all of these in them.
    pub(crate) fn series(&self, parts: &[&str]) -> Vec<String> {
        let page = self.metrics();
        let has_all = |line: &&str| !line.starts_with('#') && parts.iter().all(|part| line.contains(part));
        page.lines().filter(has_all).map(str::to_owned).collect()
    }

    /// Waits until the database is open, which the first requests wait for otherwise.
    pub(crate) fn wait_until_ready(&self) {
        let started = Instant::now();
        while self.get("/readyz").status != 200 {
            assert!(started.elapsed() < PATIENCE);
        }
    }

    /// Waits until one request besides the scrape is inside.
    pub(crate) fn wait_until_busy(&self) {
        let started = Instant::now();
        while self.series(&["http_server_active_requests", "\"GET\"", "} 2"]).is_empty() {
            assert!(started.elapsed() < PATIENCE);
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Lets the process open no more than this many descriptors.
    pub(crate) fn limit_descriptors(&self, limit: u32) {
        let pid = self.child.id().to_string();
        let limit = format!("--nofile={limit}:{limit}");
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    }

    /// Whether the program has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end and reads all that was logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, Log) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, "");
        (status, self.log.clone())
    }

    /// Stops gracefully.
    pub(crate) fn stop(self) -> Log {
        self.signal("TERM");
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{:#?}", log.lines());
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
