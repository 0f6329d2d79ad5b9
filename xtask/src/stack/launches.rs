//! How each program of the stack is started: arguments, variables, readiness, patience.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StackConfig;
use crate::config::TraceStore;
use crate::process::Launch;

/// A program of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// The trace store, where the program is found.
    Tempo,
    /// The trace store where it is not.
    Jaeger,
    /// Alertmanager.
    Alertmanager,
    /// Prometheus.
    Prometheus,
    /// The collector.
    Collector,
    /// The service.
    Phaselab,
    /// `phaselab worker --kind bad`.
    WorkerBad,
    /// `phaselab worker --kind optimized`.
    WorkerOptimized,
    /// `phaselab verify --watch`.
    Verify,
}

impl Name {
    /// The workers.
    pub const WORKERS: [Self; 2] = [Self::WorkerBad, Self::WorkerOptimized];

    /// Its name in messages, pid files and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tempo => TraceStore::Tempo.name(),
            Self::Jaeger => TraceStore::Jaeger.name(),
            Self::Alertmanager => "alertmanager",
            Self::Prometheus => "prometheus",
            Self::Collector => "collector",
            Self::Phaselab => "phaselab",
            Self::WorkerBad => "worker-bad",
            Self::WorkerOptimized => "worker-optimized",
            Self::Verify => "verify",
        }
    }

    /// Whether it keeps what others send.
    #[must_use]
    pub const fn is_store(self) -> bool {
        matches!(self, Self::Tempo | Self::Jaeger | Self::Alertmanager | Self::Prometheus)
    }
}

impl From<TraceStore> for Name {
    fn from(store: TraceStore) -> Self {
        match store {
            TraceStore::Tempo => Self::Tempo,
            TraceStore::Jaeger => Self::Jaeger,
        }
    }
}

/// How to start `program` as `name` in the stack that `config` describes.
#[must_use]
pub(super) fn launch(config: &StackConfig, name: Name, program: &Path) -> Launch {
    let mut launch = match name {
        Name::Tempo => tempo(config),
        Name::Jaeger => jaeger(config),
        Name::Alertmanager => alertmanager(config),
        Name::Prometheus => prometheus(config),
        Name::Collector => collector(config),
        Name::Phaselab => phaselab(config, name, &["serve"]),
        Name::WorkerBad => worker(config, name, "bad"),
        Name::WorkerOptimized => worker(config, name, "optimized"),
        Name::Verify => phaselab(config, name, &["verify", "--watch"]),
    };
    launch.program = program.to_path_buf();
    launch.env.extend(config.env.clone());
    launch
}

fn backend(config: &StackConfig, name: Name, args: Vec<OsString>, ready: String) -> Launch {
    Launch {
        name: name.label(),
        program: PathBuf::new(),
        args,
        dir: None,
        env: BTreeMap::new(),
        env_remove: config.env_remove.clone(),
        ready: Some(ready),
        stop_within: Duration::from_secs(20),
    }
}

fn tempo(config: &StackConfig) -> Launch {
    let ports = &config.ports;
    let args = vec![
        "-target=all".into(),
        "-config.expand-env=true".into(),
        flag("-config.file=", &config.repo.join("tempo/tempo.yaml")),
    ];
    let ready = format!("http://127.0.0.1:{}/ready", ports.tempo);
    let mut launch = backend(config, Name::Tempo, args, ready);
    launch.env.extend(variables([
        ("PHASELAB_TEMPO_HOST", "127.0.0.1".to_owned()),
        ("PHASELAB_TEMPO_PORT", ports.tempo.to_string()),
        ("PHASELAB_TEMPO_GRPC_PORT", ports.tempo_grpc.to_string()),
        ("PHASELAB_TRACES_OTLP_GRPC_PORT", ports.traces_otlp_grpc.to_string()),
        ("PHASELAB_TRACES_OTLP_HTTP_PORT", ports.traces_otlp_http.to_string()),
        ("PHASELAB_TEMPO_DATA", config.root.join("data/tempo").display().to_string()),
        ("PHASELAB_TRACES_RETENTION", format!("{}h", config.traces_retention_h)),
    ]));
    // It writes what it holds in memory to disk first, which takes milliseconds. Then, if it was
    // queried within its last 30 s, it waits for its empty query queue to be cleared away, which
    // nothing does any more: without a limit it would never end.
    launch.stop_within = Duration::from_secs(10);
    launch
}

fn jaeger(config: &StackConfig) -> Launch {
    let ports = &config.ports;
    let data = config.root.join("data/jaeger");
    let local = |name: &str, port: u16| OsString::from(format!("--{name}=127.0.0.1:{port}"));
    let args = vec![
        "--collector.otlp.enabled=true".into(),
        local("collector.otlp.grpc.host-port", ports.traces_otlp_grpc),
        local("collector.otlp.http.host-port", ports.traces_otlp_http),
        local("query.http-server.host-port", ports.jaeger),
        local("admin.http.host-port", ports.jaeger_admin),
        // Nobody uses Jaeger's own protocols here. They cannot be switched off, but on port 0 each
        // takes a free port of the kernel's choice and gets in nobody's way.
        local("query.grpc-server.host-port", 0),
        local("collector.grpc-server.host-port", 0),
        local("collector.http-server.host-port", 0),
        local("http-server.host-port", 0),
        local("processor.jaeger-binary.server-host-port", 0),
        local("processor.jaeger-compact.server-host-port", 0),
        local("processor.zipkin-compact.server-host-port", 0),
        "--badger.ephemeral=false".into(),
        flag("--badger.directory-key=", &data.join("key")),
        flag("--badger.directory-value=", &data.join("value")),
        format!("--badger.span-store-ttl={}h", config.traces_retention_h).into(),
    ];
    let ready = format!("http://127.0.0.1:{}/", ports.jaeger_admin);
    let mut launch = backend(config, Name::Jaeger, args, ready);
    launch.env.extend(variables([
        ("SPAN_STORAGE_TYPE", "badger".to_owned()),
        // Jaeger traces its own queries and would send them to localhost:4317, the collector that
        // is being measured.
        ("OTEL_TRACES_SAMPLER", "always_off".to_owned()),
    ]));
    launch
}

fn prometheus(config: &StackConfig) -> Launch {
    let dir = config.root.join("prometheus");
    let mut args = vec![
        flag("--config.file=", &dir.join("prometheus.yml")),
        flag("--storage.tsdb.path=", &config.root.join("data/prometheus")),
        format!("--storage.tsdb.retention.time={}h", config.metrics_retention_h).into(),
        // Whichever comes first: a forgotten stack must not fill the disk.
        "--storage.tsdb.retention.size=4GB".into(),
        format!("--web.listen-address=127.0.0.1:{}", config.ports.prometheus).into(),
        "--web.enable-otlp-receiver".into(),
        "--web.enable-lifecycle".into(),
        "--enable-feature=exemplar-storage".into(),
    ];
    args.extend(config.prometheus_flags.iter().map(OsString::from));
    backend(config, Name::Prometheus, args, format!("http://127.0.0.1:{}/-/ready", config.ports.prometheus))
}

fn alertmanager(config: &StackConfig) -> Launch {
    let port = config.ports.alertmanager;
    let dir = config.repo.join("alertmanager");
    let file = dir.join(&config.alertmanager_config);
    let args = vec![
        flag("--config.file=", &file),
        flag("--storage.path=", &config.root.join("data/alertmanager")),
        format!("--web.listen-address=127.0.0.1:{port}").into(),
        // It is alone: no port for others of its kind.
        "--cluster.listen-address=".into(),
    ];
    let mut launch = backend(config, Name::Alertmanager, args, format!("http://127.0.0.1:{port}/-/ready"));
    // A relative `api_url_file` is looked up in the working directory and not beside the configuration.
    launch.dir = Some(dir);
    launch
}

fn collector(config: &StackConfig) -> Launch {
    let ports = &config.ports;
    let mut args = vec![flag("--config=", &config.repo.join("otel-collector/config.yaml"))];
    args.extend(config.overlays.iter().map(|overlay| flag("--config=", &config.repo.join(overlay))));
    let ready = format!("http://127.0.0.1:{}/", ports.collector_health);
    let mut launch = backend(config, Name::Collector, args, ready);
    launch.env.extend(variables([
        ("PHASELAB_COLLECTOR_HOST", "127.0.0.1".to_owned()),
        ("PHASELAB_OTLP_GRPC_PORT", ports.otlp_grpc.to_string()),
        ("PHASELAB_OTLP_HTTP_PORT", ports.otlp_http.to_string()),
        ("PHASELAB_COLLECTOR_METRICS_PORT", ports.collector_metrics.to_string()),
        ("PHASELAB_COLLECTOR_HEALTH_PORT", ports.collector_health.to_string()),
        ("PHASELAB_COLLECTOR_DATA", config.root.join("data/collector").display().to_string()),
        ("PHASELAB_TRACES_ENDPOINT", format!("127.0.0.1:{}", ports.traces_otlp_grpc)),
        ("PHASELAB_PROMETHEUS_OTLP_ENDPOINT", format!("http://127.0.0.1:{}/api/v1/otlp", ports.prometheus)),
    ]));
    launch
}

fn phaselab(config: &StackConfig, name: Name, args: &[&str]) -> Launch {
    let mut env = client_env(config);
    if config.workers {
        // It asks them for traces that it has no samples of.
        let peers = Name::WORKERS.map(|worker| format!("http://127.0.0.1:{}", worker_ports(config, worker)[1]));
        env.insert("PHASELAB_DIAGNOSTICS_PEERS".to_owned(), peers.join(","));
    }
    env.insert("PHASELAB_DATABASE".to_owned(), config.root.join("data/phaselab.db").display().to_string());
    // With a collector of its own, nothing inherited may lead the service elsewhere: these would
    // outrank the endpoint and the protocol above.
    let env_remove = match config.programs {
        Some(_) => ["TRACES", "METRICS"]
            .iter()
            .flat_map(|signal| ["ENDPOINT", "PROTOCOL"].map(|part| format!("OTEL_EXPORTER_OTLP_{signal}_{part}")))
            .collect(),
        None => Vec::new(),
    };
    Launch {
        name: name.label(),
        program: PathBuf::new(),
        args: args.iter().map(OsString::from).collect(),
        dir: None,
        env,
        env_remove,
        ready: (name == Name::Phaselab).then(|| format!("http://127.0.0.1:{}/readyz", config.ports.http)),
        // By default 10 s for its work and 10 s for its telemetry.
        stop_within: Duration::from_secs(25),
    }
}

/// The worker's own port and that of its diagnostics.
fn worker_ports(config: &StackConfig, name: Name) -> [u16; 2] {
    let ports = &config.ports;
    match name {
        Name::WorkerBad => [ports.worker_bad, ports.worker_bad_diagnostics],
        _ => [ports.worker_optimized, ports.worker_optimized_diagnostics],
    }
}

fn worker(config: &StackConfig, name: Name, kind: &str) -> Launch {
    let mut launch = phaselab(config, name, &["worker", "--kind", kind]);
    let [own, diagnostics] = worker_ports(config, name);
    launch.env.extend(variables([
        ("PHASELAB_LISTEN", format!("127.0.0.1:{own}")),
        ("PHASELAB_DIAGNOSTICS_LISTEN", format!("127.0.0.1:{diagnostics}")),
        ("PHASELAB_DIAGNOSTICS_PEERS", "none".to_owned()),
    ]));
    // That name is meant for the service.
    launch.env_remove.push("OTEL_SERVICE_NAME".to_owned());
    launch.ready = Some(format!("http://127.0.0.1:{own}/readyz"));
    launch
}

/// The variables that lead any `phaselab` command to this stack.
#[must_use]
pub fn client_env(config: &StackConfig) -> BTreeMap<String, String> {
    addresses(config, config.store())
}

/// The same for a stack whose trace store is known otherwise: containers are no programs of ours.
#[must_use]
pub fn addresses(config: &StackConfig, store: Option<TraceStore>) -> BTreeMap<String, String> {
    let ports = &config.ports;
    let mut env = variables([
        ("PHASELAB_LISTEN", format!("127.0.0.1:{}", ports.http)),
        ("PHASELAB_DIAGNOSTICS_LISTEN", format!("127.0.0.1:{}", ports.diagnostics)),
        ("PHASELAB_URL", format!("http://127.0.0.1:{}", ports.http)),
        ("PHASELAB_DIAGNOSTICS_URL", format!("http://127.0.0.1:{}", ports.diagnostics)),
    ]);
    if let Some(store) = store {
        let otlp = ports.otlp(config.protocol);
        env.extend(variables([
            ("PHASELAB_PROMETHEUS_URL", format!("http://127.0.0.1:{}", ports.prometheus)),
            ("PHASELAB_TRACE_STORE", store.name().to_owned()),
            ("PHASELAB_TEMPO_URL", format!("http://127.0.0.1:{}", ports.tempo)),
            ("PHASELAB_JAEGER_URL", format!("http://127.0.0.1:{}", ports.jaeger)),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{otlp}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", config.protocol.otel_name().to_owned()),
        ]));
    }
    env
}

fn variables<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn flag(prefix: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(prefix);
    flag.push(path);
    flag
}
