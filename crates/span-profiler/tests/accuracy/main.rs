//! How much of the CPU time is seen, and whether it is seen in the right span and function, for 15 s of it at two rates each:
//! on two workers that compute in three spans 1 : 2 : 5, and in tasks that change threads between awaits. pprof-rs 0.15
//! measures the same work in the same run, for comparison; it knows no spans, so its shares are those of functions.
//!
//! What must hold: 95 % or more of `CLOCK_PROCESS_CPUTIME_ID`, shares within 6 points, and the leaf is the function that computes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../it/rig.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod rig;
mod theirs;
mod work;

use std::time::Duration;

use rig::{cpu_of, label, process_cpu};
use span_profiler::{Profile, Profiler, SpanLabels};
use tracing_subscriber::layer::SubscriberExt as _;
use work::{SHARES, Work};

/// CPU time of each run: at 99 Hz a share of it is known to one or two points.
const TIME: Duration = Duration::from_secs(15);

/// What was seen of one run, in parts of one.
struct Seen {
    /// Of the process's CPU time.
    total: f64,
    /// Of the three spans' time together.
    shares: [f64; 3],
    /// Of the samples of the spans: those whose leaf is the function of their span.
    leaf: f64,
}

#[test]
fn cpu_time_is_seen_where_it_is_spent() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(SpanLabels::new())).unwrap();
    println!("| profiler | work | rate | of CPU time | small, medium, large (12.5, 25, 62.5) | right leaf |");
    println!("|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for hz in [99, 997] {
        for work in [Work::Workers, Work::Hopping] {
            let seen = ours(work, hz);
            print("span-profiler", work, hz, &seen);
            let off = SHARES.iter().zip(seen.shares).map(|(truth, seen)| (truth - seen).abs()).fold(0.0, f64::max);
            if seen.total < 0.95 || seen.total > 1.05 || off > 0.06 || seen.leaf < 0.95 {
                wrong.push((work, hz));
            }
        }
        print("pprof-rs 0.15", Work::Workers, hz, &theirs::measure(Work::Workers, hz, TIME));
    }
    assert!(wrong.is_empty(), "outside of what must hold: {wrong:?}");
}

fn print(who: &str, work: Work, hz: u32, seen: &Seen) {
    let [small, medium, large] = seen.shares.map(|share| share * 100.0);
    let (total, leaf) = (seen.total * 100.0, seen.leaf * 100.0);
    println!("| {who} | {work} | {hz} Hz | {total:.1} % | {small:.1}, {medium:.1}, {large:.1} | {leaf:.1} % |");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn ours(work: Work, hz: u32) -> Seen {
    let (profiler, _guard) = Profiler::builder().with_recorder_hz(0).start().unwrap();
    let before = process_cpu();
    let capture = profiler.capture(hz).unwrap();
    work.run(TIME);
    let profile = capture.finish();
    let spent = process_cpu() - before;
    let names = work::NAMES.map(|name| cpu_of(&profile, |sample| label(sample, "span_name") == Some(name)));
    let all: i64 = names.iter().sum();
    Seen {
        total: cpu_of(&profile, |_| true) as f64 / spent.as_nanos() as f64,
        shares: names.map(|one| one as f64 / all as f64),
        leaf: right_leaves(&profile),
    }
}

/// By the flat time of the functions in a profile of each span alone.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn right_leaves(profile: &Profile) -> f64 {
    let (mut right, mut all) = (0, 0);
    for name in work::NAMES {
        let mut one = profile.clone();
        one.retain(&span_profiler::Filter { span_name: Some(name.to_owned()), ..Default::default() });
        for function in one.symbolize().top(1) {
            all += function.flat;
            right += if function.name.ends_with(&format!("::compute_{name}")) { function.flat } else { 0 };
        }
    }
    right as f64 / all as f64
}
