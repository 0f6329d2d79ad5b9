//! Side by side: what grows with the tasks that were done, and what does not.

use super::{KINDS, start, value, wait_until};
use crate::server::Server;

/// Tasks that come before the first look, when threads, caches and instruments are made.
const WARM_UP: f64 = 60.0;

/// Tasks that come after it at least.
const OBSERVED: f64 = 240.0;

/// Looks at least: on a busy machine each takes so long that many tasks are done between two.
const LOOKS: usize = 20;

/// What was seen at one look: tasks done, tasks alive, bytes allocated and not freed, bytes ever allocated.
type Look = [f64; 4];

fn look(server: &Server) -> Look {
    let page = server.metrics();
    let names = [
        "worker_tasks_processed_total",
        "worker_active_tasks",
        "worker_allocated_memory_bytes",
        "worker_allocations_bytes_total",
    ];
    names.map(|name| page.lines().filter(|line| line.starts_with(name)).map(value).sum())
}

/// The slope over the tasks done, by least squares, and its standard error.
fn slope(looks: &[Look], what: usize) -> (f64, f64) {
    let n = f64::from(u32::try_from(looks.len()).unwrap());
    let mean = |what: usize| looks.iter().map(|look| look[what]).sum::<f64>() / n;
    let (x0, y0) = (mean(0), mean(what));
    let spread: f64 = looks.iter().map(|look| (look[0] - x0).powi(2)).sum();
    let slope = looks.iter().map(|look| (look[0] - x0) * (look[what] - y0)).sum::<f64>() / spread;
    let rest: f64 = looks.iter().map(|look| (look[what] - y0 - slope * (look[0] - x0)).powi(2)).sum();
    (slope, (rest / (n - 2.0) / spread).sqrt())
}

#[test]
fn tasks_and_memory_grow_with_the_bad_one_and_not_with_the_other() {
    // More tasks than are looked at, so that neither ends before. The recorder's own memory grows with CPU time.
    let arguments = ["--tasks", "20000", "--workers", "4", "--duration", "1000s"];
    let workers = KINDS.map(|kind| start(kind, &arguments, &[]));
    let mut looks = [Vec::new(), Vec::new()];
    wait_until("both have done enough", || {
        let now = workers.each_ref().map(look);
        for (looks, now) in looks.iter_mut().zip(now) {
            if now[0] > WARM_UP {
                looks.push(now);
            }
        }
        now.iter().all(|now| now[0] > WARM_UP + OBSERVED) && looks.iter().all(|looks| looks.len() >= LOOKS)
    });
    let [bad, optimized] = looks;
    println!("{} and {} looks", bad.len(), optimized.len());
    // A task is left behind with its text of some 14 kB, of which the sampled heap profile is no part.
    for (what, name, least) in [(1, "tasks alive", 0.9), (2, "bytes in use", 7_000.0)] {
        let ((bad, bad_error), (good, good_error)) = (slope(&bad, what), slope(&optimized, what));
        println!("{name} per task: bad {bad:.3} ± {bad_error:.3}, optimized {good:.3} ± {good_error:.3}");
        assert!(bad - 3.0 * bad_error > least, "{name}: {bad} ± {bad_error}");
        // Noise: three standard errors, and a twentieth of the leak for what caches still grow.
        assert!(good.abs() < 3.0 * good_error + bad / 20.0, "{name}: {good} ± {good_error} beside {bad}");
    }
    let (bad, good) = (slope(&bad, 3).0, slope(&optimized, 3).0);
    println!("bytes allocated per task: bad {bad:.0}, optimized {good:.0}");
    assert!(bad > 10.0 * good, "{bad} beside {good}");
}
