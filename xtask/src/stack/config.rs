//! What a stack is made of, and where it keeps its things.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Name;
use crate::config::{Protocol, TraceStore};
use crate::ports::{self, Owner, Ports};
use crate::programs::Programs;

/// What a stack is made of.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StackConfig {
    /// Where it keeps pid files, logs, data and rendered files.
    pub root: PathBuf,
    /// The repository, for its configuration files.
    pub repo: PathBuf,
    /// Where each program listens.
    pub ports: Ports,
    /// The backends; `None` starts the service alone.
    pub programs: Option<Programs>,
    /// The service; `None` starts the backends alone.
    pub service: Option<PathBuf>,
    /// How the service exports.
    pub protocol: Protocol,
    /// Whether `phaselab verify --watch` runs beside the service.
    pub watch: bool,
    /// Whether the two workers run beside the service.
    // A stack that an earlier version has started has none.
    #[serde(default)]
    pub workers: bool,
    /// Configuration files laid over the collector's own.
    pub overlays: Vec<PathBuf>,
    /// Variables for every program, on top of the inherited ones: sampling percentage, waits, ...
    pub env: BTreeMap<String, String>,
    /// Inherited variables that the backends must not see.
    pub env_remove: Vec<String>,
    /// Alertmanager's configuration: a file of `alertmanager/`, or any other by its whole path.
    #[serde(default)]
    pub alertmanager_config: PathBuf,
    /// Where Prometheus's configuration and rules are taken from, in place of the repository's.
    #[serde(default)]
    pub prometheus_config: Option<PathBuf>,
    /// Flags of Prometheus besides those that every stack has.
    #[serde(default)]
    pub prometheus_flags: Vec<String>,
    /// How long Prometheus keeps samples, in hours.
    pub metrics_retention_h: u32,
    /// How long the trace store keeps traces, in hours.
    pub traces_retention_h: u32,
}

impl StackConfig {
    /// The trace store, if there are backends.
    #[must_use]
    pub fn store(&self) -> Option<TraceStore> {
        self.programs.as_ref().map(|programs| programs.store)
    }

    /// The pid file of a program.
    #[must_use]
    pub fn pid_file(&self, name: Name) -> PathBuf {
        self.root.join("run").join(format!("{}.pid", name.label()))
    }

    /// The log of a program.
    #[must_use]
    pub fn log(&self, name: Name) -> PathBuf {
        self.root.join("logs").join(format!("{}.log", name.label()))
    }

    /// The programs that this stack runs and their files, in the order in which they start.
    #[must_use]
    pub fn parts(&self) -> Vec<(Name, PathBuf)> {
        let mut parts = Vec::new();
        if let Some(programs) = &self.programs {
            parts.push((Name::from(programs.store), programs.trace_store.clone()));
            parts.push((Name::Alertmanager, programs.alertmanager.clone()));
            parts.push((Name::Prometheus, programs.prometheus.clone()));
            parts.push((Name::Collector, programs.collector.clone()));
        }
        if let Some(service) = &self.service {
            parts.push((Name::Phaselab, service.clone()));
            if self.workers {
                parts.extend(Name::WORKERS.map(|name| (name, service.clone())));
            }
            if self.watch {
                parts.push((Name::Verify, service.clone()));
            }
        }
        parts
    }

    /// Fails if a port of this stack is taken.
    ///
    /// # Errors
    /// One line per port, with the variable that moves it.
    pub fn check_ports(&self) -> anyhow::Result<()> {
        ports::check_free(&self.ports, |owner, _| self.uses(owner))
    }

    /// Whether this stack opens the ports of `owner`.
    #[must_use]
    pub fn uses(&self, owner: Owner) -> bool {
        match owner {
            Owner::Always => self.programs.is_some(),
            Owner::Service => self.service.is_some(),
            Owner::Workers => self.service.is_some() && self.workers,
            Owner::Store(store) => self.store() == Some(store),
        }
    }
}
