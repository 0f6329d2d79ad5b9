//! Whose memory is it? The bugs this catches: labels of another span, memory that was freed still counted, or the statistics
//! of sampling wrong.

use std::hint::black_box;

use regex::Regex;
use span_profiler::{SpanLabels, heap};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::rig::{Names, in_process, label, sum};

const OBJECTS: usize = 65_536;
/// A size class of jemalloc, so that the memory in use is known.
const SIZE: usize = 1_024;
const INTERVAL: f64 = 16_384.0;

#[inline(never)]
fn leak(kept: &mut Vec<Vec<u8>>) {
    for _ in 0..OBJECTS {
        kept.push(black_box(Vec::with_capacity(SIZE)));
    }
}

#[inline(never)]
fn churn() {
    for _ in 0..OBJECTS {
        drop(black_box(Vec::<u8>::with_capacity(SIZE)));
    }
}

/// An object is sampled with p = 1 − e^(−size / interval), independent of others, and then counts for 1 / p objects. So the
/// estimate of N objects has the standard deviation √(N · (1 − p) / p): here 1.5 %. Six of them are exceeded once in 5 × 10^8.
fn six_sigma() -> i64 {
    let p = 1.0 - (-(SIZE as f64) / INTERVAL).exp();
    (6.0 * (OBJECTS as f64 * (1.0 - p) / p).sqrt()) as i64
}

#[test]
fn memory_in_use_belongs_to_the_span_that_keeps_it() {
    in_process("spans::memory_in_use_belongs_to_the_span_that_keeps_it", "lg_prof_sample:14", || {
        let subscriber = tracing_subscriber::registry().with(SpanLabels::new());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let heap = heap::start().unwrap();
        let mut kept = Vec::with_capacity(OBJECTS);
        tracing::info_span!("request").in_scope(|| {
            tracing::info_span!("leaker").in_scope(|| leak(&mut kept));
            tracing::info_span!("churner").in_scope(churn);
        });
        let profile = heap.profile();

        let truth = [OBJECTS as i64, (OBJECTS * SIZE) as i64];
        let margin = [six_sigma(), six_sigma() * SIZE as i64];
        let of = |name: &str| sum(&profile, |sample| label(sample, "span_name") == Some(name));
        let near = |seen: [i64; 2]| (0..2).all(|value| (seen[value] - truth[value]).abs() <= margin[value]);
        let [objects, bytes, in_use, bytes_in_use] = of("leaker");
        assert!(near([objects, bytes]) && near([in_use, bytes_in_use]), "{:?}, {truth:?} ± {margin:?}", of("leaker"));
        let [objects, bytes, in_use, bytes_in_use] = of("churner");
        assert!(near([objects, bytes]), "{:?}, {truth:?} ± {margin:?}", of("churner"));
        assert_eq!([in_use, bytes_in_use], [0, 0]);

        let names = Names::default();
        let dropped = Regex::new(&format!("^({})$", profile.drop_frames.unwrap())).unwrap();
        for sample in profile.samples.iter().filter(|sample| !sample.labels.is_empty()) {
            assert_eq!(label(sample, "local_root_span_name"), Some("request"));
            let function = if label(sample, "span_name") == Some("leaker") { "spans::leak" } else { "spans::churn" };
            assert!(names.passes(&sample.stack, function), "{sample:x?}");
            // What pprof leaves of it: the callers of the outermost frame that matches.
            let kept =
                sample.stack.iter().rposition(|address| names.with(*address, |name| dropped.is_match(name))).unwrap();
            let kept = &sample.stack[kept + 1..];
            assert!(names.passes(kept, function), "{kept:x?}");
            let above = kept.iter().position(|address| names.with(*address, |name| name.ends_with(function))).unwrap();
            let between: Vec<_> = kept[..above].iter().map(|address| names.with(*address, str::to_owned)).collect();
            assert!(between.iter().all(|name| name.contains("alloc::vec")), "{between:?}");
        }
        assert_eq!(heap.stats().unknown_frees, 0);

        drop(kept);
        let profile = heap.profile();
        assert_eq!(sum(&profile, |sample| label(sample, "span_name").is_some())[2..], [0, 0]);
    });
}
