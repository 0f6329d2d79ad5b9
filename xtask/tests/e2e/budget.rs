//! The two budgets of a stack as `make up` starts it: time to the first exemplar that resolves, and memory.

use std::time::{Duration, Instant};

use super::lab::{Lab, Options, wait_for};
use super::service::{FAST, Traffic};

const FIRST_EXEMPLAR_WITHIN: Duration = Duration::from_secs(30);
const RESIDENT: u64 = 1024 * 1024 * 1024;

#[test]
fn the_first_exemplar_resolves_in_30_s_and_the_stack_fits_in_1_gib() {
    let start = Instant::now();
    let lab = Lab::start(Options { serve: true, watch: true, workers: true, ..Options::default() });
    let up = start.elapsed();
    let traffic = Traffic::start(&lab, FAST, 20);
    let port = lab.stack.config().ports.prometheus;
    // Longer than the budget, so that a miss says by how much.
    wait_for("an exemplar resolves", FIRST_EXEMPLAR_WITHIN * 2, || {
        lab.exemplars(port).iter().any(|one| lab.holds(&one.trace_id, &one.span_id))
    });
    let first = start.elapsed();
    assert!(traffic.stop().iter().all(|answer| answer.status == 200));
    let resident = lab.print_resident();
    println!(
        "  ready after {:.1} s, first exemplar resolves after {:.1} s, resident in all {} MiB",
        up.as_secs_f64(),
        first.as_secs_f64(),
        resident / 1024 / 1024
    );
    assert!(first <= FIRST_EXEMPLAR_WITHIN, "the first exemplar took {first:?}");
    assert!(resident <= RESIDENT, "{resident} bytes resident");
}
