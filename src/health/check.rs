//! What is asked: the six queries of docs/queries.md under "Healthy", and three about what watches over the service.

use clap::ValueEnum;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Tasks that are more than 5 minutes ago.
    Tasks,
    /// Memory that is more every second.
    Memory,
    /// Cores in use.
    Cpu,
    /// Messages to players.
    Messages,
    /// Bytes to players.
    Bandwidth,
    /// Connections of players that failed.
    Errors,
    /// Alerts that fire, also those about others than the service.
    Alerts,
    /// Backends that Prometheus cannot scrape.
    Targets,
    /// Exemplars that lead nowhere, as `phaselab verify --watch` found.
    Exemplars,
}

/// Values from which on something is not healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Tasks more than 5 minutes ago.
    pub tasks: f64,
    /// Bytes per second.
    pub memory: f64,
    /// Cores.
    pub cpu: f64,
    /// Messages per second.
    pub messages: f64,
    /// Bytes per second.
    pub bandwidth: f64,
    /// Connections per second.
    pub errors: f64,
}

/// A query, and from which value on its answer is not healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is checked.
    pub subject: Subject,
    /// The query; every sample of its answer counts.
    pub query: String,
    /// What its numbers are.
    pub unit: &'static str,
    /// Healthy is what is below.
    pub bound: f64,
    /// Where to go on reading, from the root of the repository.
    pub look: &'static str,
}

impl Subject {
    /// All subjects, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Tasks,
        Self::Memory,
        Self::Cpu,
        Self::Messages,
        Self::Bandwidth,
        Self::Errors,
        Self::Alerts,
        Self::Targets,
        Self::Exemplars,
    ];

    /// Its name in reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Messages => "messages",
            Self::Bandwidth => "bandwidth",
            Self::Errors => "errors",
            Self::Alerts => "alerts",
            Self::Targets => "targets",
            Self::Exemplars => "exemplars",
        }
    }

    /// The question about the service of this name.
    #[must_use]
    pub fn check(self, service: &str, bounds: &Bounds) -> Check {
        let of = |template: &str| template.replace("SERVICE", service);
        let (query, unit, bound, look) = match self {
            Self::Tasks => (
                of(r#"delta(tokio_tasks_alive{service_name="SERVICE"}[5m])"#),
                "tasks",
                bounds.tasks,
                "docs/runbooks/TaskLeakSuspected.md",
            ),
            Self::Memory => (
                of(r#"deriv(jemalloc_active_bytes{service_name="SERVICE"}[5m])"#),
                "bytes/s",
                bounds.memory,
                "docs/runbooks/MemoryLeakSuspected.md",
            ),
            Self::Cpu => (
                of(
                    r#"sum by (service_instance_id) (rate(process_cpu_time_seconds_total{service_name="SERVICE"}[1m]))"#,
                ),
                "cores",
                bounds.cpu,
                "docs/runbooks/HighCPU.md",
            ),
            Self::Messages => (
                of(r#"sum(rate(websocket_messages_sent_total{service_name="SERVICE"}[1m]))"#),
                "/s",
                bounds.messages,
                "docs/websocket.md",
            ),
            Self::Bandwidth => (
                of(r#"sum(rate(websocket_bytes_sent_total{service_name="SERVICE"}[1m]))"#),
                "bytes/s",
                bounds.bandwidth,
                "docs/websocket.md",
            ),
            Self::Errors => (
                of(r#"sum(rate(websocket_connection_errors_total{service_name="SERVICE"}[1m]))"#),
                "/s",
                bounds.errors,
                "docs/websocket.md",
            ),
            // The zero is there also when no alert fires, so that an answer without it is one that failed.
            Self::Alerts => (
                r#"count by (alertname) (ALERTS{alertstate="firing"}) or vector(0)"#.to_owned(),
                "",
                1.0,
                "docs/runbooks",
            ),
            Self::Targets => ("1 - min by (job) (up)".to_owned(), "", 1.0, "docs/runbooks/BackendDown.md"),
            Self::Exemplars => (
                of(r#"sum(verify_exemplars{service_name="SERVICE",result!~"resolved|ask_failed"})"#),
                "",
                1.0,
                "docs/runbooks/ExemplarsDangle.md",
            ),
        };
        Check { subject: self, query, unit, bound, look }
    }
}
