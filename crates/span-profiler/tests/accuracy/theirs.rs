//! The same with pprof-rs, walking by frame pointers as we do. In this mode it drops the leaf, so the functions that compute
//! are seen only where an interrupt found them in a call.

use std::time::Duration;

use crate::Seen;
use crate::rig::process_cpu;
use crate::work::{NAMES, Work};

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn measure(work: Work, hz: u32, time: Duration) -> Seen {
    let before = process_cpu();
    let guard = pprof::ProfilerGuard::new(i32::try_from(hz).unwrap()).unwrap();
    work.run(time);
    let report = guard.report().build().unwrap();
    let spent = (process_cpu() - before).as_secs_f64();
    let functions = NAMES.map(|name| format!("::compute_{name}"));
    let (mut all, mut shares, mut leaves) = (0.0, [0.0; 3], 0.0);
    for (frames, count) in &report.data {
        let count = *count as f64;
        all += count;
        let names: Vec<String> = frames.frames.iter().flatten().map(pprof::Symbol::name).collect();
        let Some(span) = functions.iter().position(|function| names.iter().any(|name| name.ends_with(function))) else {
            continue;
        };
        shares[span] += count;
        let leaf = names.first().is_some_and(|leaf| leaf.ends_with(&functions[span]));
        leaves += if leaf { count } else { 0.0 };
    }
    // None at all is a share of nothing, not a division by zero.
    let known = shares.iter().sum::<f64>().max(1.0);
    Seen { total: all / f64::from(hz) / spent, shares: shares.map(|share| share / known), leaf: leaves / known }
}
