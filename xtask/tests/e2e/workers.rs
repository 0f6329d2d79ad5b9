//! The two workers side by side: what grows and what does not, as Prometheus sees it; profiles that name the mistakes; the way from
//! a bucket of a worker to its trace and, over the service, to its profile; the same results.

use std::time::{Duration, Instant};

use procfs::process::Process;
use serde_json::Value;
use xtask::process::Identity;
use xtask::stack::Name;

use super::lab::{Lab, Options, wait_for};
use super::service::agent;

/// The names of both by the value of `worker_type`.
const WORKERS: [(&str, Name); 2] = [("bad", Name::WorkerBad), ("optimized", Name::WorkerOptimized)];

/// 7 tasks a second: enough to tell a slope from noise in less than a minute, and few enough for ten of them, in which the history
/// of the bad one must not reach its cap.
const ENV: [(&str, &str); 6] = [
    ("PHASELAB_WORKER_TASKS", "6300"),
    ("PHASELAB_WORKER_WORKERS", "8"),
    ("PHASELAB_WORKER_DURATION", "900s"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "1000"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
];

/// For a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(120);

/// Before it, caches fill and threads start.
const WARM_UP: Duration = Duration::from_secs(10);

/// The window over which slopes are fitted, unless `WORKERS_SECONDS` says otherwise.
const OBSERVED: Duration = Duration::from_secs(40);

/// What a service without load may hold.
const IDLE_RESIDENT: u64 = 64 * 1024 * 1024;

fn observed() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a setting of this test alone")]
    let given = std::env::var("WORKERS_SECONDS").ok();
    given.map_or(OBSERVED, |seconds| Duration::from_secs(seconds.parse().unwrap()))
}

#[test]
fn the_bad_worker_leaks_and_the_optimized_one_does_not_with_the_same_results() {
    let lab = Lab::start(Options { env: &ENV, serve: true, workers: true, ..Options::default() });
    let start = Instant::now();
    wait_for("both workers are in Prometheus", PATIENCE, || {
        WORKERS.iter().all(|(kind, _)| query(&lab, &format!("worker_active_tasks{{worker_type=\"{kind}\"}}")).is_some())
    });
    std::thread::sleep(WARM_UP.saturating_sub(start.elapsed()));
    // Nobody asks the service anything meanwhile.
    let idle = Idle::begin(&lab);
    std::thread::sleep(observed());
    idle.end(&lab);
    // First, as the other parts need memory too.
    slopes(&lab, observed().as_secs());
    from_a_bucket_to_a_profile(&lab);
    profiles(&lab);
    results(&lab);
    lab.print_resident();
}

/// What the service costs while it does nothing but export its metrics and have them scraped.
struct Idle {
    cpu: Duration,
    since: Instant,
}

impl Idle {
    fn begin(lab: &Lab) -> Self {
        Self { cpu: cpu_time(service(lab)), since: Instant::now() }
    }

    /// Prints the cost. Only memory is asserted: the share of a core depends on the machine.
    fn end(self, lab: &Lab) {
        let (cpu, resident) = (cpu_time(service(lab)) - self.cpu, service(lab).resident_bytes().unwrap());
        let share = cpu.as_secs_f64() / self.since.elapsed().as_secs_f64();
        println!("  idle service: {:.2} % of a core, {} MiB resident", share * 100.0, resident / 1024 / 1024);
        assert!(resident <= IDLE_RESIDENT, "{resident} bytes resident");
    }
}

fn service(lab: &Lab) -> &Identity {
    let (_, identity) = lab.stack.running().find(|(name, _)| *name == Name::Phaselab).unwrap();
    identity
}

/// CPU time of all threads so far.
fn cpu_time(identity: &Identity) -> Duration {
    let stat = Process::new(identity.pid.try_into().unwrap()).and_then(|process| process.stat()).unwrap();
    Duration::from_millis((stat.utime + stat.stime) * 1_000 / procfs::ticks_per_second())
}

/// The value of an instant query that has one.
fn query(lab: &Lab, promql: &str) -> Option<f64> {
    let url = format!("http://127.0.0.1:{}/api/v1/query", lab.stack.config().ports.prometheus);
    let text = agent().post(&url).send_form([("query", promql)]).ok()?.body_mut().read_to_string().ok()?;
    let answer: Value = serde_json::from_str(&text).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// `deriv` fits a line by least squares, as the documentation's queries do.
fn slopes(lab: &Lab, window: u64) {
    let ask = |what: &str, kind: &str| {
        let promql = what.replace("{}", &format!("{{job=\"phaselab-worker\",worker_type=\"{kind}\"}}"));
        query(lab, &promql).unwrap_or_else(|| panic!("no answer to {promql}"))
    };
    for (what, least) in [
        (format!("deriv(worker_active_tasks{{}}[{window}s])"), 1.0),
        (format!("deriv(worker_allocated_memory_bytes{{}}[{window}s])"), 14_000.0),
        // No slopes, but as telling: what a task costs.
        (format!("rate(worker_allocations_bytes_total{{}}[{window}s])"), 1_000_000.0),
    ] {
        let [bad, optimized] = WORKERS.map(|(kind, _)| ask(&what, kind));
        println!("  {what}: bad {bad:.1}, optimized {optimized:.1}");
        assert!(bad > least, "{what}: {bad}");
        assert!(optimized < bad / 10.0, "{what}: {optimized} beside {bad}");
    }
    let processed = |kind: &str| ask(&format!("sum(rate(worker_tasks_processed_total{{}}[{window}s]))"), kind);
    let cpu = |kind: &str, name: Name| {
        // The process has no worker_type; its instance is that of its metrics.
        let joined = format!(
            "sum(rate(process_cpu_time_seconds_total[{window}s]) * on(instance) group_left() \
             (worker_active_tasks{{worker_type=\"{kind}\"}} * 0 + 1))"
        );
        let seconds = query(lab, &joined).unwrap_or_else(|| panic!("no CPU time of {name:?}"));
        seconds / processed(kind)
    };
    let [bad, optimized] = WORKERS.map(|(kind, name)| cpu(kind, name));
    println!("  CPU per task: bad {:.2} ms, optimized {:.2} ms", bad * 1e3, optimized * 1e3);
    assert!(bad > optimized, "{bad} s beside {optimized} s");
}

/// What the profiles of the bad one name, those of the other do not.
fn profiles(lab: &Lab) {
    let ports = &lab.stack.config().ports;
    for (kind, port) in [("bad", ports.worker_bad_diagnostics), ("optimized", ports.worker_optimized_diagnostics)] {
        for (path, function) in [
            ("profile?since=1m&span=worker_task&", "sort_inserting"),
            ("profile?since=1m&span=worker_task&", "normalize_copying"),
            ("heap?", "remember_everything"),
            ("allocs?", "normalize_copying"),
            ("goroutine?", "wait_for_an_answer"),
        ] {
            let url = format!("http://127.0.0.1:{port}/debug/pprof/{path}format=folded");
            let stacks = || agent().get(&url).call().unwrap().body_mut().read_to_string().unwrap();
            if kind == "bad" {
                // Each task adds to what is sampled; and tasks that are asked what they do may answer too late once.
                wait_for(&format!("{function} is in {path}"), PATIENCE, || stacks().contains(function));
            } else {
                let stacks = stacks();
                assert!(!stacks.contains(function), "{function} in {path}: {stacks}");
            }
        }
    }
}

/// Both come to the same when they do the same.
fn results(lab: &Lab) {
    let [bad, optimized] = WORKERS.map(|(kind, _)| {
        let tasks = ["--tasks", "150", "--workers", "8", "--duration", "1s"];
        let places = ["--listen", "127.0.0.1:0", "--diagnostics-listen", "off"];
        let (code, said) = lab.phaselab_text(&[&["worker", "--kind", kind][..], &tasks, &places].concat());
        assert_eq!(code, 0, "{said}");
        let done = said.lines().find(|line| line.contains("the tasks are done")).unwrap_or_else(|| panic!("{said}"));
        let line: Value = serde_json::from_str(done).unwrap();
        line["fields"].clone()
    });
    println!("  {bad}");
    assert_eq!(bad, optimized);
    assert_eq!((bad["processed"].as_u64(), bad["failed"].as_u64()), (Some(150), Some(3)), "{bad}");
}

/// An exemplar of a worker leads to the trace of one task, and the service has its profile from the worker.
fn from_a_bucket_to_a_profile(lab: &Lab) {
    let ports = &lab.stack.config().ports;
    for (kind, _) in WORKERS {
        let selector = format!("worker_task_processing_duration_seconds_bucket{{worker_type=\"{kind}\"}}");
        wait_for(&format!("an exemplar of {kind} resolves"), PATIENCE, || {
            lab.exemplars_of(ports.prometheus, &selector).iter().any(|one| {
                let spans = lab.spans(&one.trace_id);
                let named = |name: &str| spans.iter().filter(|span| span["name"] == name).count() == 1;
                spans.len() == 4 && ["worker_task", "fetch", "transform", "settle"].into_iter().all(named)
            })
        });
    }
    // Tasks of the bad one are long enough for a sample now and then.
    let selector = "worker_task_processing_duration_seconds_bucket{worker_type=\"bad\"}";
    let peer = format!("http://127.0.0.1:{}", ports.worker_bad_diagnostics);
    wait_for("the service has a profile of a task", PATIENCE, || {
        lab.exemplars_of(ports.prometheus, selector).iter().any(|one| {
            let view = lab.ask(ports.diagnostics, &format!("/debug/traces/{}?format=json", one.trace_id));
            view.is_some_and(|view| view["peer"] == peer && view["samples"].as_u64() > Some(0))
        })
    });
}
