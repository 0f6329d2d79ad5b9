//! A stack for one test, and the questions that tests ask of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtask::config::{ProcessEnv, Protocol, Settings, TraceStore};
use xtask::ports::VARIABLES;
use xtask::programs::{Places, Programs};
use xtask::progress::Progress;
use xtask::stack::{Name, Stack, StackConfig};
use xtask::{build, http, repo};

/// A running stack, gone with everything it wrote when dropped.
pub(super) struct Lab {
    pub(super) stack: Stack,
    /// From the first program to the last one being ready.
    pub(super) up_after: Duration,
    /// After `stack`: the programs end before their directory goes.
    _dir: tempfile::TempDir,
}

/// What a test changes about its stack.
#[derive(Default)]
pub(super) struct Options {
    /// Files laid over the collector's configuration, relative to the repository.
    pub(super) overlays: &'static [&'static str],
    /// Variables for every program.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Whether the service runs too; without it the test sends by itself.
    pub(super) serve: bool,
    /// Whether `phaselab verify --watch` runs beside the service.
    pub(super) watch: bool,
    /// Whether the two workers run beside the service.
    pub(super) workers: bool,
    pub(super) protocol: Option<Protocol>,
}

impl Lab {
    pub(super) fn start(options: Options) -> Self {
        Self::start_with(options, |_| {})
    }

    /// A stack whose configuration is changed further; what `change` writes goes below the stack's root.
    pub(super) fn start_with(options: Options, change: impl FnOnce(&mut StackConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), options);
        change(&mut config);
        let start = Instant::now();
        let stack = Stack::start(config, &mut Progress::silent()).unwrap();
        Self { stack, up_after: start.elapsed(), _dir: dir }
    }

    /// Resident memory of all programs in bytes, printed program by program.
    pub(super) fn print_resident(&self) -> u64 {
        let resident = self.stack.resident_bytes();
        for (name, bytes) in &resident {
            println!("  resident {:<11} {:>5} MiB", name.label(), bytes / 1024 / 1024);
        }
        resident.iter().map(|(_, bytes)| bytes).sum()
    }

    /// GET on a port of this machine, as JSON; `None` for anything but success.
    pub(super) fn ask(&self, port: u16, path: &str) -> Option<Value> {
        let (status, body) = http::get(&format!("http://127.0.0.1:{port}{path}"), Duration::from_secs(10)).ok()?;
        if status == 200 { serde_json::from_str(&body).ok() } else { None }
    }

    /// The spans that the trace store holds of a trace. Only spans count: an unknown trace may be
    /// answered with success and nothing in it.
    pub(super) fn spans(&self, trace_id: &str) -> Vec<Value> {
        let ports = &self.stack.config().ports;
        let answer = match self.stack.config().store().unwrap() {
            TraceStore::Tempo => self.ask(ports.tempo, &format!("/api/v2/traces/{trace_id}")),
            TraceStore::Jaeger => self.ask(ports.jaeger, &format!("/api/v3/traces/{trace_id}")),
        };
        let mut spans = Vec::new();
        collect_spans(answer.unwrap_or_default(), &mut spans);
        spans
    }

    /// Whether the trace store holds the span `span_id` (16 hexadecimal digits) of a trace.
    pub(super) fn holds(&self, trace_id: &str, span_id: &str) -> bool {
        self.spans(trace_id).iter().any(|span| has_id(span, span_id))
    }

    /// Whether a span of the stored trace carries the mark; `None` if no such trace is stored.
    pub(super) fn marked(&self, trace_id: &str) -> Option<bool> {
        let marks = |span: &Value| {
            let attributes = span["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
            attributes.iter().any(|one| one["key"] == "exemplar" && one["value"]["boolValue"] == true)
        };
        let spans = self.spans(trace_id);
        (!spans.is_empty()).then(|| spans.iter().any(marks))
    }

    /// Sends one trace of one root span to the collector.
    pub(super) fn send(&self, trace: &Trace) {
        let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let start = end - trace.duration;
        let mut attributes = Vec::new();
        if trace.marked {
            attributes.push(json!({ "key": "exemplar", "value": { "boolValue": true } }));
        }
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "e2e" } }] },
            "scopeSpans": [{ "spans": [{
                "traceId": trace.trace_id,
                "spanId": trace.span_id,
                "name": "root",
                "kind": 2,
                "startTimeUnixNano": start.as_nanos().to_string(),
                "endTimeUnixNano": end.as_nanos().to_string(),
                "status": { "code": if trace.failed { 2 } else { 0 } },
                "attributes": attributes,
            }] }],
        }] });
        let url = format!("http://127.0.0.1:{}/v1/traces", self.stack.config().ports.otlp_http);
        ureq::post(&url).send_json(body).unwrap();
    }
}

/// A trace of one span.
pub(super) struct Trace {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) marked: bool,
    pub(super) failed: bool,
    pub(super) duration: Duration,
}

impl Trace {
    /// A fast, successful, unmarked one. Its ids depend on `number` and are spread like random ones,
    /// which is what sampling by trace id goes by.
    pub(super) fn fast(number: u64) -> Self {
        let mix = |seed: u64| {
            let mut x = number.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (x ^ (x >> 31)) | 1
        };
        Self {
            trace_id: format!("{:016x}{:016x}", mix(1 << 32), mix(2 << 32)),
            span_id: format!("{:016x}", mix(3 << 32)),
            marked: false,
            failed: false,
            duration: Duration::from_millis(3),
        }
    }
}

/// The configuration that a test's stack starts from.
pub(super) fn config(root: &Path, options: Options) -> StackConfig {
    let settings = Settings::from_env(&ProcessEnv).unwrap();
    let places = Places::new(&settings, &repo().join("stack")).unwrap();
    let programs = Programs::find(&places, settings.trace_store).expect("`make e2e` has looked for the programs");
    StackConfig {
        root: root.to_path_buf(),
        repo: repo(),
        ports: xtask::ports::Ports::free().unwrap(),
        programs: Some(programs),
        service: options.serve.then(|| build::service::build(&repo(), &settings, &mut Progress::silent()).unwrap()),
        protocol: options.protocol.unwrap_or(Protocol::Grpc),
        watch: options.watch,
        workers: options.workers,
        overlays: options.overlays.iter().map(PathBuf::from).collect(),
        env: options
            .env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        env_remove: settings.otel_variables,
        alertmanager_config: settings.alertmanager_config,
        prometheus_config: None,
        prometheus_flags: Vec::new(),
        metrics_retention_h: settings.metrics_retention_h,
        traces_retention_h: settings.traces_retention_h,
    }
}

/// For what comes in seconds, on a machine that does other things besides.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Polls until `condition` holds; a test that gives up says what it waited for.
pub(super) fn wait_for(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < within, "{what}: not after {within:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    start.elapsed()
}

/// The ports of a configuration that are still taken.
pub(super) fn taken_ports(config: &StackConfig) -> Vec<&'static str> {
    let mut ports = config.ports.clone();
    VARIABLES
        .iter()
        .filter(|variable| TcpListener::bind((Ipv4Addr::LOCALHOST, *(variable.slot)(&mut ports))).is_err())
        .map(|variable| variable.name)
        .collect()
}

/// The programs that a stack runs, by name.
pub(super) fn names(stack: &Stack) -> Vec<Name> {
    stack.running().map(|(name, _)| name).collect()
}

fn collect_spans(value: Value, spans: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| collect_spans(item, spans)),
        Value::Object(fields) if fields.contains_key("spanId") => spans.push(Value::Object(fields)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, field)| collect_spans(field, spans)),
        _ => {}
    }
}

/// Whether a stored span has this id (16 hexadecimal digits).
pub(super) fn has_id(span: &Value, span_id: &str) -> bool {
    // Jaeger writes ids in hexadecimal, Tempo in base64.
    span["spanId"] == span_id || span["spanId"] == base64(&unhex(span_id)).as_str()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}
