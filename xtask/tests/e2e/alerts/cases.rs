//! What goes wrong, group by group; what is in a group does not disturb each other.
//!
//! Numbers are at least some times away from what the service does by itself, also on a machine that is busy.

use super::case::{Case, Does, PLAIN};
use super::watch::Named;

const SERVICE: &str = "phaselab";
const WORKER: &str = "phaselab-worker";

/// What is quick on any machine that answers at all.
const FAST: &str = "/api/work?db_ms=1&loop_iterations=2000&items=10";

/// Until it is stopped.
const LONG: &str = "duration=30m";

/// A slow machine makes slow requests.
const SLOW_MACHINE: [Named; 2] = [("WorkLatencyBurnFast", SERVICE), ("WorkLatencyBurnSlow", SERVICE)];

/// Through a window of seconds everything that starts looks as if it went on like that; the rule itself waits for ten
/// minutes.
const STARTS: Named = ("TaskLeakSuspected", SERVICE);

/// Before anything else.
pub(super) const IDLE: Case = Case { name: "idle", may: &[STARTS], ..PLAIN };

/// Beside the first group: both workers, of which only the bad one fires anything.
pub(super) const WORKERS: Case = Case {
    name: "workers",
    moves: &[
        ("deriv(worker_active_tasks{worker_type=\"bad\"}[20s])", "1.5..100", ""),
        ("deriv(worker_active_tasks{worker_type=\"optimized\"}[20s])", "-1..1", ""),
        ("deriv(worker_allocated_memory_bytes{worker_type=\"bad\"}[30s])", "1e4..1e7", ""),
        (LEAKING_BAD, "1..", "0..0"),
        (LEAKING_OPTIMIZED, "0..0", "0..0"),
    ],
    told: &[("TaskLeakSuspected", WORKER)],
    // It allocates 15 MB for a task of its worst kind, and how many it does depends on the machine.
    may: &[("AllocationChurn", WORKER), ("HighCPU", WORKER), ("HighTasks", WORKER)],
    ..PLAIN
};

const LEAKING_BAD: &str = "count(ALERTS{alertname=~\"TaskLeakSuspected|AllocationChurn\",alertstate=\"firing\"} and \
     on (service_instance_id) worker_active_tasks{worker_type=\"bad\"}) or vector(0)";
const LEAKING_OPTIMIZED: &str = "count(ALERTS{alertname=~\"TaskLeakSuspected|AllocationChurn\",alertstate=\"firing\"} \
     and on (service_instance_id) worker_active_tasks{worker_type=\"optimized\"}) or vector(0)";

/// What grows, and what only goes on.
pub(super) const GROWING: &[Case] = &[
    Case { name: "load", requests: &[(FAST, 20)], may: &SLOW_MACHINE, ..PLAIN },
    Case {
        name: "ramp",
        does: Does::Scenario(&["ramp", "workers=200", "duration=40s"]),
        moves: &[
            ("max_over_time(app_tasks_current{service_name=\"phaselab\"}[5m])", "150..200", ""),
            ("max_over_time(app_scaling_rate{service_name=\"phaselab\"}[5m])", "1..100", ""),
            ("min_over_time(app_scaling_rate{service_name=\"phaselab\"}[5m])", "-100..-1", ""),
            ("app_tasks_current{service_name=\"phaselab\"}", "0..200", "0..0"),
            ("app_tasks_created_total{service_name=\"phaselab\"}", "1..200", "200..200"),
            ("app_phase{service_name=\"phaselab\"}", "0..1", "0..0"),
            ("app_scaling_rate{service_name=\"phaselab\"}", "-100..100", "0..0"),
            ("tokio_tasks_by_name{service_name=\"phaselab\",name=\"ramp worker\"}", "1..200", "0..0"),
        ],
        may: &[STARTS],
        ..PLAIN
    },
    Case {
        name: "task-leak",
        does: Does::Scenario(&["task-leak", "rate=200", "limit=4000", LONG]),
        moves: &[
            ("tokio_tasks_alive{service_name=\"phaselab\"}", "4000..", "..500"),
            ("tokio_tasks_by_name{service_name=\"phaselab\",name=\"leaked task\"}", "4000..4000", "0..0"),
        ],
        told: &[("TaskLeakSuspected", SERVICE), ("HighTasks", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "memory-leak",
        does: Does::Scenario(&["memory-leak", "rate=10", "limit=80", LONG]),
        moves: &[
            ("app_heap_alloc_bytes{service_name=\"phaselab\"}", "90e6..", "..75e6"),
            ("app_heap_objects{service_name=\"phaselab\"}", "1000..", ""),
            ("jemalloc_allocated_bytes{service_name=\"phaselab\"}", "90e6..", "..75e6"),
            ("process_memory_usage_bytes{service_name=\"phaselab\"}", "90e6..", "..150e6"),
        ],
        told: &[("MemoryLeakSuspected", SERVICE), ("HeapGrowing", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "file-leak",
        does: Does::Scenario(&["file-leak", "rate=100", "limit=400", LONG]),
        moves: &[
            ("app_open_files{service_name=\"phaselab\"}", "400..", "..150"),
            ("process_unix_file_descriptor_count{service_name=\"phaselab\"}", "400..", "..300"),
        ],
        told: &[("FileDescriptorLeak", SERVICE)],
        ..PLAIN
    },
    // No alert belongs to it.
    Case {
        name: "connection-leak",
        does: Does::Scenario(&["connection-leak", "rate=50", "limit=150", LONG]),
        moves: &[("app_open_connections{service_name=\"phaselab\"}", "150..", "..100")],
        ..PLAIN
    },
];

/// What has no room, and players who have; memory that does not stay.
pub(super) const CROWDED: &[Case] = &[
    Case {
        name: "pool-exhaustion",
        does: Does::Scenario(&["pool-exhaustion", LONG]),
        requests: &[(FAST, 5); 4],
        moves: &[
            (POOL_IN_USE, "0.9..1", "0..0.8"),
            ("app_db_pool_idle{service_name=\"phaselab\"}", "0..0", "1..8"),
            (
                "rate(http_server_request_duration_seconds_count{service_name=\"phaselab\",\
                  error_type=\"database_unavailable\"}[20s])",
                "0.01..",
                "0..0",
            ),
        ],
        told: &[
            ("ConnectionPoolExhausted", SERVICE),
            ("SlowDatabase", SERVICE),
            ("WorkErrorsBurnFast", SERVICE),
            ("WorkLatencyBurnFast", SERVICE),
        ],
        // With all windows alike the slow burns fire with the fast ones.
        inhibited: &[("WorkErrorsBurnSlow", SERVICE), ("WorkLatencyBurnSlow", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "queue-pressure",
        does: Does::Scenario(&["queue-pressure", LONG]),
        moves: &[
            ("app_queue_depth{service_name=\"phaselab\"}", "81..100", "0..0"),
            ("rate(app_tasks_rejected_total{service_name=\"phaselab\"}[20s])", "5..", "0..0"),
            ("app_queue_capacity{service_name=\"phaselab\"}", "100..100", ""),
        ],
        told: &[("TasksBeingRejected", SERVICE)],
        inhibited: &[("QueueBackpressure", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "allocation-churn",
        does: Does::Scenario(&["allocation-churn", LONG]),
        moves: &[
            ("rate(jemalloc_allocations_bytes_total{service_name=\"phaselab\"}[20s])", "40e6..", "..20e6"),
            ("rate(jemalloc_mallocs_total{service_name=\"phaselab\"}[20s])", "4e4..", "..2e4"),
            // Nothing of it stays.
            ("app_heap_alloc_bytes{service_name=\"phaselab\"}", "..100e6", ""),
        ],
        told: &[("AllocationChurn", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "websocket",
        does: Does::Command(
            &["load", "TARGET", "--scenario", "websocket", "--players", "30", "--duration", "30m"],
            &[],
        ),
        moves: &[
            ("websocket_connections_active{service_name=\"phaselab\"}", "30..30", "0..0"),
            ("websocket_sessions_active{service_name=\"phaselab\"}", "30..30", "0..0"),
            ("sum(rate(websocket_broadcasts_total{service_name=\"phaselab\"}[20s]))", "1..", "0..0"),
        ],
        may: &[STARTS],
        ..PLAIN
    },
];

const POOL_IN_USE: &str = "app_db_pool_active{service_name=\"phaselab\"} / (app_db_pool_active{service_name=\"phaselab\"} \
     + app_db_pool_idle{service_name=\"phaselab\"})";

/// What uses a core, and what has gone so far that the louder alerts fire.
pub(super) const MUCH: &[Case] = &[
    Case {
        name: "cpu-bottleneck",
        does: Does::Scenario(&["cpu-bottleneck", "threads=4", LONG]),
        moves: &[
            ("sum(rate(process_cpu_time_seconds_total{service_name=\"phaselab\"}[20s]))", "0.4..", "0..0.2"),
            // Beside the workers of the runtime, and not on them.
            (
                "rate(tokio_worker_busy_seconds_total{service_name=\"phaselab\"}[20s]) \
                 / tokio_workers{service_name=\"phaselab\"}",
                "0..0.8",
                "",
            ),
        ],
        told: &[("HighCPU", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "many tasks",
        does: Does::Scenario(&["task-leak", "rate=1000", "limit=6000", LONG]),
        told: &[("TaskCountHigh", SERVICE)],
        inhibited: &[("HighTasks", SERVICE)],
        may: &[STARTS],
        ..PLAIN
    },
    Case {
        name: "much memory",
        does: Does::Scenario(&["memory-leak", "rate=64", "limit=192", LONG]),
        told: &[("HighMemoryUsage", SERVICE)],
        may: &[("MemoryLeakSuspected", SERVICE), ("HeapGrowing", SERVICE), ("AllocationChurn", SERVICE)],
        ..PLAIN
    },
    Case {
        name: "no room for the mark",
        does: Does::Command(
            &[
                "worker",
                "--kind",
                "optimized",
                "--tasks",
                "9000",
                "--workers",
                "4",
                "--duration",
                "15m",
                "--listen",
                "127.0.0.1:0",
                "--diagnostics-listen",
                "off",
            ],
            &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0")],
        ),
        told: &[("ExemplarsDropped", WORKER)],
        may: &[("TaskLeakSuspected", WORKER)],
        ..PLAIN
    },
];

/// The service and the trace store are not there.
pub(super) const GONE: Case = Case {
    name: "gone",
    told: &[("ApplicationAbsent", SERVICE), ("BackendDown", "trace-store")],
    may: &[STARTS],
    ..PLAIN
};
