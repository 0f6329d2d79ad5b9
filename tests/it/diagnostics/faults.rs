//! What the scenarios do to a service. Catches: scenarios that move nothing, or other metrics than theirs, or that leave
//! something behind; profiles that do not name the fault.

use std::time::{Duration, Instant};

use super::Private;
use crate::client::PATIENCE;

/// Long enough for a leak at the highest rate to reach its end, for a loop that spins to show, and for a start to be over.
const SETTLED: Duration = Duration::from_secs(2);

const MIB: f64 = 1_048_576.0;

/// What leaks move, with what the rest of the service may move meanwhile.
const MOVED: [(&str, f64); 4] = [
    ("tokio_tasks_alive", 10.0),
    ("app_heap_alloc_bytes", 8.0 * MIB),
    ("app_open_files", 5.0),
    ("app_open_connections", 10.0),
];

#[test]
fn each_leak_moves_its_own_metric_and_gives_it_back() {
    let private = Private::start(&[]);
    private.server.get("/api/work");
    // The first requests, also the first one for the metrics, make what stays; and readings are shared for a moment.
    let heap = || {
        std::thread::sleep(SETTLED);
        private.value(&["app_heap_alloc_bytes"])
    };
    let (started, mut before) = (Instant::now(), 0.0);
    loop {
        let now = heap();
        if f64::abs(now - before) < MIB {
            break;
        }
        before = now;
        assert!(started.elapsed() < PATIENCE, "the heap does not settle: {now}");
    }
    for (scenario, moved, amount) in [
        ("task-leak?rate=1000&limit=500", "tokio_tasks_alive", 500.0),
        ("memory-leak?rate=64&limit=32", "app_heap_alloc_bytes", 32.0 * MIB),
        ("file-leak?rate=1000&limit=100", "app_open_files", 100.0),
        ("connection-leak?rate=200&limit=100", "app_open_connections", 100.0),
    ] {
        let (name, _) = scenario.split_once('?').unwrap();
        let before = MOVED.map(|(metric, _)| private.value(&[metric]));
        assert_eq!(private.ask("POST", &format!("/scenarios/{scenario}"), &[]).status, 202);
        let at = MOVED.iter().position(|(metric, _)| *metric == moved).unwrap();
        private.wait_for(&[moved], |value| value >= before[at] + amount - MOVED[at].1);
        // It has reached its limit, so it stays there.
        for ((metric, tolerance), before) in MOVED.iter().zip(before) {
            let more = if *metric == moved { amount } else { 0.0 };
            let now = private.value(&[metric]);
            assert!((now - before - more).abs() <= *tolerance, "{name}: {metric} went from {before} to {now}");
        }
        assert_eq!(private.ask("DELETE", &format!("/scenarios/{name}"), &[]).json()["last_run"]["outcome"], "stopped");
        for ((metric, tolerance), before) in MOVED.iter().zip(before) {
            private.wait_for(&[metric], |now| (now - before).abs() <= *tolerance);
        }
    }
    assert_eq!(private.value(&["tokio_tasks_by_name", "\"leaked task\""]), 0.0);
}

#[test]
fn two_leaks_of_descriptors_leave_enough_to_stop_them() {
    let private = Private::start(&[]);
    private.server.limit_descriptors(300);
    for leak in ["file-leak?rate=1000&limit=10000", "connection-leak?rate=200&limit=1000"] {
        assert_eq!(private.ask("POST", &format!("/scenarios/{leak}"), &[]).status, 202);
    }
    private.wait_for(&["process_unix_file_descriptor_count"], |count| count > 120.0);
    // Whatever both take, connections come in, and the database can be opened.
    let started = Instant::now();
    while started.elapsed() < SETTLED {
        assert_eq!(private.server.get("/api/work").status, 200);
        let open = private.value(&["process_unix_file_descriptor_count"]);
        assert!(open < 250.0, "{open} of 300");
    }
    for leak in ["file-leak", "connection-leak"] {
        assert_eq!(private.ask("DELETE", &format!("/scenarios/{leak}"), &[]).json()["last_run"]["outcome"], "stopped");
    }
    private.wait_for(&["process_unix_file_descriptor_count"], |count| count < 100.0);
}

#[test]
fn a_database_that_is_gone_leaves_the_exhaustion_waiting_and_not_spinning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.db");
    let private = Private::start(&[("PHASELAB_DATABASE", file.to_str().unwrap())]);
    assert_eq!(private.server.get("/api/work").status, 200);
    // The one that is open stays; a folder cannot be opened as a further one.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    private.ask("POST", "/scenarios/pool-exhaustion", &[]);
    private.server.log.wait_for("a database connection that was to be held cannot be opened");
    let cpu = |private: &Private| private.value(&["process_cpu_time_seconds_total", "\"user\""]);
    let (started, before) = (Instant::now(), cpu(&private));
    std::thread::sleep(SETTLED);
    let share = (cpu(&private) - before) / started.elapsed().as_secs_f64();
    assert!(share < 0.5, "{share} of a core");
    let stopped = private.ask("DELETE", "/scenarios/pool-exhaustion", &[]).json();
    assert_eq!(stopped["last_run"]["outcome"], "stopped");
}

#[test]
fn an_exhausted_pool_refuses_requests_until_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.db");
    let private = Private::start(&[("PHASELAB_DATABASE", file.to_str().unwrap())]);
    assert_eq!(private.server.get("/api/work").status, 200);
    // A connection comes back to the pool after the answer, so nobody has one before all are counted.
    let idle = |private: &Private| {
        private.wait_for(&["app_db_pool_active"], |active| active == 0.0);
        private.value(&["app_db_pool_idle"])
    };
    let before = idle(&private);
    private.ask("POST", "/scenarios/pool-exhaustion", &[]);
    private.wait_for(&["app_db_pool_active"], |active| active >= 8.0);
    assert_eq!(private.value(&["app_db_pool_idle"]), 0.0);
    private.server.get("/api/work").problem(503, "database_unavailable");
    private.ask("DELETE", "/scenarios/pool-exhaustion", &[]);
    assert_eq!(idle(&private), before, "connections that were opened for this are closed");
    assert_eq!(private.server.get("/api/work").status, 200);
}

#[test]
fn the_queue_fills_rejects_and_is_empty_again() {
    let private = Private::start(&[]);
    // Somebody else's tasks, before and after those of the scenario.
    let others = 20_u32;
    let send = || assert_eq!(private.server.request("POST", "/api/tasks?work_ms=1000", &[]).status, 202);
    (0..others).for_each(|_| send());
    private.ask("POST", "/scenarios/queue-pressure?rate=1000", &[]);
    private.wait_for(&["app_tasks_rejected_total"], |rejected| rejected > 0.0);
    private.wait_for(&["app_queue_depth"], |depth| depth > 80.0);
    let stopped = private.ask("DELETE", "/scenarios/queue-pressure", &[]).json();
    assert_eq!(stopped["last_run"]["outcome"], "stopped");
    assert!(private.value(&["app_queue_depth"]) <= f64::from(others), "those of the scenario are taken back");
    let started = Instant::now();
    let counts = loop {
        let counts = private.server.get("/api/tasks").json();
        if counts["running"] == 0 && counts["depth"] == 0 {
            break counts;
        }
        assert!(started.elapsed() < PATIENCE, "{counts}");
    };
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(count("accepted"), count("processed") + count("withdrawn"), "{counts}");
    assert!(count("processed") >= u64::from(others) && count("withdrawn") > 0, "{counts}");
}

#[test]
fn the_profile_names_the_loop_and_the_metrics_the_churn() {
    let private = Private::start(&[]);
    private.ask("POST", "/scenarios/cpu-bottleneck", &[]);
    private.ask("POST", "/scenarios/allocation-churn?rate=100", &[]);
    let allocated = private.value(&["jemalloc_allocations_bytes_total"]);
    let started = Instant::now();
    let hot = "/debug/pprof/profile?since=1m&span=cpu_bottleneck&format=folded";
    while !private.get(hot).body.contains("compute::hot_loop") {
        assert!(started.elapsed() < PATIENCE, "{}", private.get(hot).body);
    }
    let churn = "/debug/pprof/allocs?span=allocation_churn&format=folded";
    while !private.get(churn).body.contains("compute::allocate_in_loop") {
        assert!(started.elapsed() < 2 * PATIENCE, "{}", private.get(churn).body);
    }
    private.wait_for(&["jemalloc_allocations_bytes_total"], |now| now > allocated + 100.0 * MIB);
    private.wait_for(&["jemalloc_frees_total"], |frees| frees > 50_000.0);
    for name in ["cpu-bottleneck", "allocation-churn"] {
        let stopped = private.ask("DELETE", &format!("/scenarios/{name}"), &[]).json();
        assert_eq!((&stopped["state"], &stopped["last_run"]["outcome"]), (&"stopped".into(), &"stopped".into()));
        assert_eq!(private.value(&["tokio_tasks_by_name", &format!("name=\"{name}\"")]), 0.0);
    }
    // Both are over, so what is allocated now is for these very questions.
    let allocated = private.value(&["jemalloc_allocations_bytes_total"]);
    assert!(private.value(&["jemalloc_allocations_bytes_total"]) < allocated + 50.0 * MIB);
}

#[test]
fn an_idle_service_shows_the_metrics_of_its_runtime_and_allocator() {
    let private = Private::start(&[]);
    private.server.get("/api/work");
    for name in [
        "tokio_tasks_alive",
        "tokio_workers",
        "tokio_worker_busy_seconds_total",
        "tokio_worker_parks_total",
        "jemalloc_allocated_bytes",
        "jemalloc_active_bytes",
        "jemalloc_resident_bytes",
        "jemalloc_mapped_bytes",
        "jemalloc_metadata_bytes",
        "app_heap_objects",
    ] {
        assert!(private.value(&[name]) > 0.0, "{name}");
    }
    // What nothing may have happened to yet, or no sample was taken of.
    for name in [
        "tokio_global_queue_depth",
        "jemalloc_retained_bytes",
        "jemalloc_purges_total",
        "jemalloc_allocations_bytes_total",
        "jemalloc_mallocs_total",
        "jemalloc_frees_total",
        "app_queue_depth",
    ] {
        assert!(private.value(&[name]) >= 0.0, "{name}");
    }
    // That of this very question, and some that are about to end.
    assert!(private.value(&["tokio_tasks_by_name", "\"connection\""]) >= 1.0);
}
