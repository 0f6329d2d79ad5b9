//! Threads and stacks that a profiler must survive: short-lived, small, full, deep, foreign.

use std::hint::black_box;
use std::time::Duration;

use span_profiler::{Profile, Profiler};

use crate::rig::{alone, burn, cpu_of, process_cpu};

/// Takes a profile of `work`.
fn profiled(work: impl FnOnce()) -> (Profile, Duration) {
    let (profiler, _guard) = Profiler::builder().with_recorder_hz(0).start().unwrap();
    let before = process_cpu();
    let capture = profiler.capture(997).unwrap();
    work();
    (capture.finish(), process_cpu() - before)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn share(profile: &Profile, spent: Duration) -> f64 {
    cpu_of(profile, |_| true) as f64 / spent.as_nanos() as f64
}

#[test]
fn threads_that_live_two_milliseconds_are_seen_when_they_arm_themselves() {
    let _alone = alone();
    let (profile, spent) = profiled(|| {
        for _ in 0..200 {
            let short = std::thread::spawn(|| {
                span_profiler::thread_started();
                burn(Duration::from_millis(2));
            });
            short.join().unwrap();
        }
    });
    // The kernel looks at timers when its clock ticks, mostly every 4 ms: what a thread does after its last tick is not seen.
    // Found by scanning alone, it would be less than one in a hundred.
    assert!((0.1..1.2).contains(&share(&profile, spent)), "{}", share(&profile, spent));
}

#[inline(never)]
fn recurse(depth: usize, work: &dyn Fn()) -> usize {
    let frame = black_box([depth; 32]);
    if depth == 0 {
        work();
        return frame[0];
    }
    recurse(depth - 1, work) + black_box(frame)[31]
}

#[test]
fn a_thread_with_a_small_stack_that_recursion_fills_survives() {
    let _alone = alone();
    let (profile, _) = profiled(|| {
        // Some 50 KiB of 64: what is left would not hold a signal's frame and the handler's.
        let small = std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
            span_profiler::thread_started();
            let limit = 48 << 10;
            let here = black_box(0_u8);
            fill(std::ptr::from_ref(&here) as usize - limit);
        });
        small.unwrap().join().unwrap();
    });
    assert!(cpu_of(&profile, |sample| sample.stack.contains(&Profile::TRUNCATED)) > 0, "{}", profile.samples.len());
}

/// Goes down to an address of the stack and computes there.
#[inline(never)]
fn fill(until: usize) -> usize {
    let here = black_box([0_usize; 2]);
    if std::ptr::from_ref(&here) as usize <= until {
        burn(Duration::from_millis(200));
        return here[0];
    }
    fill(until) + black_box(here)[1]
}

#[test]
fn a_deep_stack_is_cut_at_its_root_and_says_so() {
    let _alone = alone();
    let (profile, _) = profiled(|| {
        recurse(1_000, &|| burn(Duration::from_millis(100)));
    });
    let deep: Vec<_> = profile.samples.iter().filter(|sample| sample.stack.len() > 100).collect();
    assert!(!deep.is_empty());
    assert!(deep.iter().all(|sample| sample.stack.last() == Some(&Profile::TRUNCATED)));
}

#[test]
fn threads_that_never_heard_of_the_profiler_are_found() {
    let _alone = alone();
    let (profile, spent) = profiled(|| {
        std::thread::spawn(|| burn(Duration::from_millis(500))).join().unwrap();
    });
    assert!(share(&profile, spent) > 0.8, "{}", share(&profile, spent));
    // Their stacks are followed by probing.
    assert!(profile.samples.iter().any(|sample| sample.stack.len() > 5));
}
