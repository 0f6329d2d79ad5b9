//! The two programs under test; what was started is killed when its handle is dropped.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use xtask::config::Settings;
use xtask::ports::Ports;
use xtask::process::{Identity, tail};
use xtask::programs::{COLLECTOR, Places};

use crate::Mode;

/// How long a program may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running program and its log.
struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(name: &'static str, mut command: Command, log: PathBuf, ready: &str) -> anyhow::Result<Self> {
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut program = Self { name, child: child.with_context(|| format!("cannot start {name}"))?, log };
        let start = Instant::now();
        while let Err(answer) = xtask::http::is_ready(ready) {
            if let Some(status) = program.child.try_wait()? {
                return Err(program.failed(&format!("has ended: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(program.failed(&format!("is not ready after {PATIENCE:?}: {ready} says {answer}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(program)
    }

    fn failed(&self, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{} {what}\n{}", self.name, tail(&self.log, 20).join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn remove(command: &mut Command, variables: &[String]) {
    for name in variables {
        command.env_remove(name);
    }
}

/// The collector.
pub(crate) struct Collector {
    /// Held until the end, when it is killed.
    _program: Program,
    /// Variables that are meant for the service of `make up`, not for what is measured.
    otel_variables: Vec<String>,
    ports: Ports,
}

impl Collector {
    /// Finds it and starts it.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub(crate) fn start(files: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let places = Places::new(settings, &xtask::repo().join("stack"))?;
        let search = places.find(&COLLECTOR);
        let Some(path) = search.found else {
            let passed_over = search.passed_over.join("\n");
            bail!("there is no collector in {}: run `make stack` first\n{passed_over}", places.describe());
        };
        let ports = Ports::free()?;
        let mut command = Command::new(path);
        command
            .arg("--config")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/requests/collector.yaml"))
            .env("PHASELAB_OTLP_GRPC_PORT", ports.otlp_grpc.to_string())
            .env("PHASELAB_COLLECTOR_HEALTH_PORT", ports.collector_health.to_string())
            .env("PHASELAB_COLLECTOR_METRICS_PORT", ports.collector_metrics.to_string());
        remove(&mut command, &settings.otel_variables);
        let ready = format!("http://127.0.0.1:{}", ports.collector_health);
        let program = Program::start("the collector", command, files.join("collector.log"), &ready)?;
        Ok(Self { _program: program, otel_variables: settings.otel_variables.clone(), ports })
    }

    /// Spans that it has accepted since its start.
    ///
    /// # Errors
    /// When its own metrics cannot be read.
    pub(crate) fn spans(&self) -> anyhow::Result<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.collector_metrics);
        let (_, page) = xtask::http::get(&url, PATIENCE).context("cannot read the collector's metrics")?;
        let accepted = page.lines().filter(|line| line.starts_with("otelcol_receiver_accepted_spans"));
        let numbers = accepted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
        Ok(numbers.sum::<f64>() as u64)
    }
}

/// The service.
pub(crate) struct Service {
    program: Program,
    address: SocketAddr,
}

/// What a service said when it stopped.
pub(crate) struct Stopped {
    /// Spans that found the batch processor's queue full.
    pub(crate) queue_full: u64,
    /// Exemplars that left.
    pub(crate) shipped: u64,
}

impl Service {
    /// Starts it on a database that the first one seeds.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(program: &Path, files: &Path, collector: &Collector, mode: Mode) -> anyhow::Result<Self> {
        let port = Ports::free()?.http;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(program);
        remove(&mut command, &collector.otel_variables);
        command
            .arg("serve")
            .env("PHASELAB_LISTEN", address.to_string())
            .env("PHASELAB_DATABASE", files.join("bench.db"))
            .env("PHASELAB_LOG", "info")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.ports.otlp_grpc))
            .envs(mode.variables().iter().copied());
        let ready = format!("http://{address}/readyz");
        let program = Program::start("the service", command, files.join("service.log"), &ready)?;
        Ok(Self { program, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its CPU time so far, user and system.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let pid = i32::try_from(self.program.child.id())?;
        let stat = procfs::process::Process::new(pid)?.stat()?;
        Ok(Duration::from_secs_f64((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64))
    }

    /// Stops it as an operator would and reads its last words.
    ///
    /// # Errors
    /// When it does not stop in time, or not well.
    pub(crate) fn stop(mut self) -> anyhow::Result<Stopped> {
        if let Some(identity) = Identity::of(self.program.child.id())
            && !xtask::process::stop(&[("the service", identity, PATIENCE)])?.is_empty()
        {
            return Err(self.program.failed("does not stop"));
        }
        let status = self.program.child.wait()?;
        let log = std::fs::read_to_string(&self.program.log)?;
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let field = |name: &str| lines.iter().find_map(|line| line["fields"][name].as_u64());
        match field("shipped") {
            Some(shipped) if status.success() => {
                Ok(Stopped { queue_full: field("dropped_span_count").unwrap_or(0), shipped })
            }
            _ => Err(self.program.failed(&format!("has stopped with {status}"))),
        }
    }
}
