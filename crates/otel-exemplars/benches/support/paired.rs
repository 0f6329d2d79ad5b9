//! Two ways measured in turns: whatever else the machine does slows both, so their ratio holds where times do not.

use std::time::Duration;

/// Runs both `rounds` times, changing who comes first, and prints the medians and the median ratio with its quartiles.
///
/// Each call says how long `operations` of them took.
pub(crate) fn compare(
    what: &str,
    rounds: usize,
    operations: u32,
    mut baseline: impl FnMut() -> Duration,
    mut ours: impl FnMut() -> Duration,
) {
    let (mut of_baseline, mut of_ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (first, second);
        if round % 2 == 0 {
            first = baseline().as_secs_f64();
            second = ours().as_secs_f64();
        } else {
            second = ours().as_secs_f64();
            first = baseline().as_secs_f64();
        }
        // The first round warms up.
        if round > 0 {
            of_baseline.push(first);
            of_ours.push(second);
            ratios.push(second / first);
        }
    }
    let each = |times: &mut Vec<f64>| Duration::from_secs_f64(quartile(times, 2) / f64::from(operations));
    let (baseline, ours) = (each(&mut of_baseline), each(&mut of_ours));
    let [low, median, high] = [1, 2, 3].map(|number| quartile(&mut ratios, number));
    println!("paired: {what}: {baseline:?} -> {ours:?}, x {median:.3} [{low:.3}, {high:.3}]");
}

fn quartile(values: &mut [f64], number: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[number * (values.len() - 1) / 4]
}
