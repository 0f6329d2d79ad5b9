//! The ports of the stack, the variable that moves each one, and the check that all of them are free.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::bail;

use crate::config::{Protocol, TraceStore};

/// Every port that a program of the stack listens on. All of them are on loopback.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
// A stack that an earlier version has started must be stopped by this one.
#[serde(default)]
pub struct Ports {
    /// The service.
    pub http: u16,
    /// The service's diagnostics.
    pub diagnostics: u16,
    /// The worker with mistakes.
    pub worker_bad: u16,
    /// Its diagnostics.
    pub worker_bad_diagnostics: u16,
    /// The worker without.
    pub worker_optimized: u16,
    /// Its diagnostics.
    pub worker_optimized_diagnostics: u16,
    /// Prometheus.
    pub prometheus: u16,
    /// Alertmanager.
    pub alertmanager: u16,
    /// The collector's OTLP over gRPC.
    pub otlp_grpc: u16,
    /// The collector's OTLP over HTTP.
    pub otlp_http: u16,
    /// The collector's own metrics.
    pub collector_metrics: u16,
    /// The collector's health check.
    pub collector_health: u16,
    /// The trace store's OTLP over gRPC, which gives way to the collector's.
    pub traces_otlp_grpc: u16,
    /// The trace store's OTLP over HTTP.
    pub traces_otlp_http: u16,
    /// Tempo's API.
    pub tempo: u16,
    /// Tempo's gRPC.
    pub tempo_grpc: u16,
    /// Jaeger's API.
    pub jaeger: u16,
    /// Jaeger's health check and own metrics.
    pub jaeger_admin: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            http: 8080,
            diagnostics: 6060,
            worker_bad: 8081,
            worker_bad_diagnostics: 6061,
            worker_optimized: 8082,
            worker_optimized_diagnostics: 6062,
            prometheus: 9090,
            alertmanager: 9093,
            otlp_grpc: 4317,
            otlp_http: 4318,
            collector_metrics: 8888,
            collector_health: 13133,
            traces_otlp_grpc: 14317,
            traces_otlp_http: 14318,
            tempo: 3200,
            tempo_grpc: 9095,
            jaeger: 16686,
            jaeger_admin: 14269,
        }
    }
}

/// Who opens a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The service itself.
    Service,
    /// The two workers.
    Workers,
    /// A program that is part of every stack.
    Always,
    /// Only this trace store.
    Store(TraceStore),
}

/// A variable that moves a port.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What listens there, for messages.
    pub purpose: &'static str,
    /// Who opens it.
    pub owner: Owner,
    /// Its place in [`Ports`].
    pub slot: fn(&mut Ports) -> &mut u16,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

macro_rules! variable {
    ($name:literal, $purpose:literal, $owner:expr, $field:ident) => {
        Variable { name: $name, purpose: $purpose, owner: $owner, slot: |ports| &mut ports.$field }
    };
}

/// Every variable that moves a port.
pub const VARIABLES: &[Variable] = &[
    variable!("PHASELAB_HTTP_PORT", "phaselab", Owner::Service, http),
    variable!("PHASELAB_DIAGNOSTICS_PORT", "phaselab, diagnostics", Owner::Service, diagnostics),
    variable!("PHASELAB_WORKER_BAD_PORT", "worker-bad", Owner::Workers, worker_bad),
    variable!(
        "PHASELAB_WORKER_BAD_DIAGNOSTICS_PORT",
        "worker-bad, diagnostics",
        Owner::Workers,
        worker_bad_diagnostics
    ),
    variable!("PHASELAB_WORKER_OPTIMIZED_PORT", "worker-optimized", Owner::Workers, worker_optimized),
    variable!(
        "PHASELAB_WORKER_OPTIMIZED_DIAGNOSTICS_PORT",
        "worker-optimized, diagnostics",
        Owner::Workers,
        worker_optimized_diagnostics
    ),
    variable!("PHASELAB_PROMETHEUS_PORT", "Prometheus", Owner::Always, prometheus),
    variable!("PHASELAB_ALERTMANAGER_PORT", "Alertmanager", Owner::Always, alertmanager),
    variable!("PHASELAB_OTLP_GRPC_PORT", "collector, OTLP over gRPC", Owner::Always, otlp_grpc),
    variable!("PHASELAB_OTLP_HTTP_PORT", "collector, OTLP over HTTP", Owner::Always, otlp_http),
    variable!("PHASELAB_COLLECTOR_METRICS_PORT", "collector, own metrics", Owner::Always, collector_metrics),
    variable!("PHASELAB_COLLECTOR_HEALTH_PORT", "collector, health check", Owner::Always, collector_health),
    variable!("PHASELAB_TRACES_OTLP_GRPC_PORT", "trace store, OTLP over gRPC", Owner::Always, traces_otlp_grpc),
    variable!("PHASELAB_TRACES_OTLP_HTTP_PORT", "trace store, OTLP over HTTP", Owner::Always, traces_otlp_http),
    variable!("PHASELAB_TEMPO_PORT", "Tempo", Owner::Store(TraceStore::Tempo), tempo),
    variable!("PHASELAB_TEMPO_GRPC_PORT", "Tempo, gRPC", Owner::Store(TraceStore::Tempo), tempo_grpc),
    variable!("PHASELAB_JAEGER_PORT", "Jaeger", Owner::Store(TraceStore::Jaeger), jaeger),
    variable!("PHASELAB_JAEGER_ADMIN_PORT", "Jaeger, health check", Owner::Store(TraceStore::Jaeger), jaeger_admin),
];

/// Fails if a port that `used` selects is taken, or wanted twice; names all of them at once.
///
/// # Errors
/// One line per port, with the variable that moves it.
pub fn check_free(ports: &Ports, used: impl Fn(Owner, u16) -> bool) -> anyhow::Result<()> {
    check_with(ports, used, |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop))
}

fn check_with(
    ports: &Ports,
    used: impl Fn(Owner, u16) -> bool,
    bind: impl Fn(u16) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut ports = ports.clone();
    let wanted: Vec<(&Variable, u16)> = VARIABLES
        .iter()
        .map(|variable| (variable, *(variable.slot)(&mut ports)))
        .filter(|(variable, port)| used(variable.owner, *port))
        .collect();
    let mut faults = Vec::new();
    for (index, (variable, port)) in wanted.iter().enumerate() {
        let Variable { name, purpose, .. } = variable;
        if let Some((earlier, _)) = wanted[..index].iter().find(|(_, other)| other == port) {
            faults.push(format!(
                "port {port} ({purpose}) is also meant for {}: give {name} another number",
                earlier.purpose
            ));
            continue;
        }
        match bind(*port) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                faults.push(format!("port {port} ({purpose}) is taken: free it, or move it with {name}=<port>"));
            }
            Err(error) => {
                faults.push(format!("port {port} ({purpose}) cannot be opened ({error}): move it with {name}=<port>"));
            }
        }
    }
    if !faults.is_empty() {
        bail!("nothing was started:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

impl Ports {
    /// Where the collector takes OTLP in `protocol`.
    #[must_use]
    pub const fn otlp(&self, protocol: Protocol) -> u16 {
        match protocol {
            Protocol::Grpc => self.otlp_grpc,
            Protocol::Http => self.otlp_http,
        }
    }

    /// A set of free ports for a test's own stack.
    ///
    /// They lie below the range from which the kernel picks ports for outgoing connections, so none
    /// of those can take one before the program that is meant to listen there; calls in one process
    /// never hand out the same port twice.
    ///
    /// # Errors
    /// If the range has not enough free ports.
    pub fn free() -> anyhow::Result<Self> {
        const FIRST: u16 = 20_000;
        const COUNT: u16 = 12_000;
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Test processes that run side by side start at different places.
        let start = u16::try_from(std::process::id() * 61 % u32::from(COUNT)).unwrap_or(0);
        let mut ports = Self::default();
        for variable in VARIABLES {
            let free = (0..COUNT).find_map(|_| {
                let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
            });
            let Some(port) = free else { bail!("no free port between {FIRST} and {}", FIRST + COUNT) };
            *(variable.slot)(&mut ports) = port;
        }
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn in_use(_: u16) -> io::Result<()> {
        Err(io::ErrorKind::AddrInUse.into())
    }

    #[test]
    fn all_taken_ports_are_named_with_the_variable_that_moves_them() {
        let error = check_with(&Ports::default(), |owner, _| owner != Owner::Store(TraceStore::Tempo), in_use)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("nothing was started"), "{error}");
        assert!(
            error.contains("port 9090 (Prometheus) is taken: free it, or move it with PHASELAB_PROMETHEUS_PORT=<port>"),
            "{error}"
        );
        assert!(error.contains("PHASELAB_JAEGER_ADMIN_PORT"), "{error}");
        assert!(!error.contains("TEMPO"), "a port that is not used is not reported: {error}");
        assert_eq!(error.lines().count(), 1 + 16);
    }

    #[test]
    fn a_listener_on_all_addresses_takes_the_port_too() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let ports = Ports { http: listener.local_addr().unwrap().port(), ..Ports::default() };
        let error = check_free(&ports, |owner, _| owner == Owner::Service).unwrap_err().to_string();
        assert!(error.contains("PHASELAB_HTTP_PORT"), "{error}");
    }

    #[test]
    fn one_number_for_two_programs_is_found_before_either_starts() {
        let ports = Ports { prometheus: 4317, ..Ports::default() };
        let error = check_with(&ports, |owner, _| owner == Owner::Always, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("port 4317 (collector, OTLP over gRPC) is also meant for Prometheus"), "{error}");
    }

    #[test]
    fn free_ports_are_distinct_across_calls() {
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            let mut ports = Ports::free().unwrap();
            for variable in VARIABLES {
                assert!(seen.insert(*(variable.slot)(&mut ports)), "{} was handed out twice", variable.name);
            }
        }
    }
}
