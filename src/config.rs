//! The effective configuration, and the only reader of the environment.
//!
//! Flags win over variables, variables over defaults. Everything is read before anything is refused, so that one
//! run reports every fault. `PHASELAB_*` variables are strict. For `OTEL_*` the specification asks that a value
//! nobody knows is ignored with a warning: `serve` does that, `check` refuses it all the same. A value that the
//! specification knows and this program cannot honour is refused by both.

pub mod diagnostics;
pub mod duration;
mod otel;
mod otlp;
pub mod percent;
mod print;
mod rules;
mod source;
pub mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use diagnostics::{Diagnostics, ProfilerSettings};
pub use otel::{BatchSettings, MetricSettings, Otel, Sampler, SpanLimits};
pub use otlp::{Compression, Export, Protocol};
pub use print::print;
pub(crate) use rules::span_export_timeout;
pub use rules::{Rule, rules};
pub use source::{Environment, Fault, Faults, Flag, ProcessEnvironment, Severity};
pub use worker::{Role, WorkerKind, WorkerSettings};

use source::Reader;

/// Where the work's rows live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A database that ends with the process.
    Memory,
    /// A file that is created and seeded at first use.
    File(PathBuf),
}

/// The numbers that service and collector must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailSampling {
    /// How long the collector keeps a trace before it decides.
    pub decision_wait: Duration,
    /// How long the collector waits for late spans once it has the root.
    pub decision_wait_after_root: Duration,
    /// How many traces the collector holds at once.
    pub num_traces: u64,
    /// The highest expected rate of traces, per second.
    pub peak_trace_rate: u64,
}

/// Everything that `serve` and `check` need to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the public API.
    pub listen: SocketAddr,
    /// Where the work's rows live.
    pub database: Database,
    /// How long a request may take before it is answered with 504.
    pub request_timeout: Duration,
    /// How long requests in flight may take to finish once the service stops.
    pub shutdown_timeout: Duration,
    /// API requests served at once; one more is answered with 503.
    pub max_concurrent_requests: usize,
    /// WebSocket connections at once; one more is answered with 503.
    pub max_websockets: usize,
    /// Size of a request body above which it is answered with 413, in bytes.
    pub max_body_bytes: usize,
    /// Which log lines are written, as `target=level` directives.
    pub log: String,
    /// Whether histograms take exemplars and mark spans.
    pub exemplars: bool,
    /// What the collector's tail sampling is set to.
    pub tail_sampling: TailSampling,
    /// The private server; `None` where it is off.
    pub diagnostics: Option<Diagnostics>,
    /// Memory for what the console shows, in bytes; 0 turns it off.
    pub console_bytes: usize,
    /// What the profiler keeps without being asked.
    pub profiler: ProfilerSettings,
    /// How much a worker has to do; the service has no use for it.
    pub worker: WorkerSettings,
    /// What the `OTEL_*` variables say.
    pub otel: Otel,
}

impl Config {
    /// Reads the configuration of the service; the second value lists what was ignored.
    ///
    /// # Errors
    /// All faults that cannot be ignored, together with those that can.
    pub fn read(env: &dyn Environment, flags: &[Flag]) -> Result<(Self, Faults), Faults> {
        Self::read_as(Role::Service, env, flags)
    }

    /// Reads the configuration of a process with this role.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_as(role: Role, env: &dyn Environment, flags: &[Flag]) -> Result<(Self, Faults), Faults> {
        let mut reader = Reader::new(role, env, flags);
        let config = read_all(&mut reader);
        let faults = reader.into_faults();
        if faults.0.iter().any(|fault| fault.severity == Severity::Refused) {
            return Err(faults);
        }
        Ok((config, faults))
    }
}

/// Reads every variable, in the order in which [`print`] shows them.
fn read_all(reader: &mut Reader<'_>) -> Config {
    let listen = reader.strict(
        "PHASELAB_LISTEN",
        SocketAddr::from(([127, 0, 0, 1], 8080)),
        ("is no IP address with a port", "write for example 127.0.0.1:8080 or [::1]:8080"),
        |text| text.parse().ok(),
    );
    let database = database(reader);
    let request_timeout = positive(reader, "PHASELAB_REQUEST_TIMEOUT", 20);
    let shutdown_timeout = positive(reader, "PHASELAB_SHUTDOWN_TIMEOUT", 10);
    let max_concurrent_requests = reader.strict(
        "PHASELAB_MAX_CONCURRENT_REQUESTS",
        128,
        ("is no whole number from 1 to 100000", "write for example 128"),
        |text| text.parse().ok().filter(|n| (1..=100_000).contains(n)),
    );
    let max_websockets = reader.strict(
        "PHASELAB_MAX_WEBSOCKETS",
        1_024,
        ("is no whole number from 1 to 100000", "write for example 1024"),
        |text| text.parse().ok().filter(|n| (1..=100_000).contains(n)),
    );
    let max_body_bytes = reader.strict(
        "PHASELAB_MAX_BODY_BYTES",
        65_536,
        ("is no whole number from 0 to 1073741824", "write a number of bytes, for example 65536"),
        |text| text.parse().ok().filter(|n| *n <= 1 << 30),
    );
    let log = reader.strict(
        "PHASELAB_LOG",
        "info".to_owned(),
        ("is no list of levels or target=level pairs", "write for example info or info,phaselab=debug"),
        |text| text.parse::<tracing_subscriber::filter::Targets>().ok().map(|_| text.to_owned()),
    );
    let tail_sampling = TailSampling {
        decision_wait: positive(reader, "PHASELAB_DECISION_WAIT", 30),
        decision_wait_after_root: positive(reader, "PHASELAB_DECISION_WAIT_AFTER_ROOT", 2),
        num_traces: count(reader, "PHASELAB_NUM_TRACES", 100_000),
        peak_trace_rate: count(reader, "PHASELAB_PEAK_TRACE_RATE", 1_000),
    };
    let diagnostics = diagnostics::diagnostics(reader);
    let console_bytes = diagnostics::console_bytes(reader);
    let profiler = diagnostics::profiler(reader);
    let worker = worker::read(reader);
    let otel = otel::read(reader);
    let exemplars =
        reader.strict("PHASELAB_EXEMPLARS", otel.exemplars, ("is neither on nor off", "write on or off"), |text| {
            match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            }
        });
    Config {
        listen,
        database,
        request_timeout,
        shutdown_timeout,
        max_concurrent_requests,
        max_websockets,
        max_body_bytes,
        log,
        exemplars,
        tail_sampling,
        diagnostics,
        console_bytes,
        profiler,
        worker,
        otel,
    }
}

/// A duration above zero and at most a day, so that sums of several cannot overflow.
fn positive(reader: &mut Reader<'_>, name: &'static str, default_s: u64) -> Duration {
    reader.strict(
        name,
        Duration::from_secs(default_s),
        ("is no duration with a unit (h, m, s, ms, us, ns) above 0s and up to 24h", "write for example 30s or 250ms"),
        |text| duration::parse(text).filter(|d| !d.is_zero() && *d <= Duration::from_secs(86_400)),
    )
}

/// A whole number above zero.
fn count(reader: &mut Reader<'_>, name: &'static str, default: u64) -> u64 {
    reader.strict(name, default, ("is no whole number from 1 to 1000000000", "write for example 1000"), |text| {
        text.parse().ok().filter(|n| (1..=1_000_000_000).contains(n))
    })
}

/// `:memory:`, a path, or the user's data directory.
fn database(reader: &mut Reader<'_>) -> Database {
    if let Some(path) = reader.text("PHASELAB_DATABASE") {
        return match path.as_str() {
            ":memory:" => Database::Memory,
            path => Database::File(PathBuf::from(path)),
        };
    }
    let data = reader
        .text("XDG_DATA_HOME")
        .map(PathBuf::from)
        // The XDG specification says that a relative path is to be ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| reader.text("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    if let Some(data) = data {
        return Database::File(data.join("phaselab/phaselab.db"));
    }
    reader.refuse(
        "PHASELAB_DATABASE",
        "",
        "has no default because neither XDG_DATA_HOME nor HOME is set",
        "set it to a file or to :memory:",
    );
    Database::Memory
}

#[cfg(test)]
mod tests;
