//! Catches operations on profiles that lose, invent or mix up values, and pages that cannot be read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{Filter, Labels, Profile, Sample, Symbolized, ValueType};
use crate::symbols::{Frame, Location, Mapping, Resolved, Symbol};

pub(super) const SAMPLES: ValueType = ValueType { kind: "samples", unit: "count" };
pub(super) const CPU: ValueType = ValueType { kind: "cpu", unit: "nanoseconds" };

pub(super) fn profile(samples: Vec<Sample>) -> Profile {
    Profile {
        value_types: vec![SAMPLES, CPU],
        default_value: 1,
        period: Some((CPU, 10_000_000)),
        start: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        duration: Duration::from_secs(30),
        samples,
        comments: vec!["2 samples were lost".to_owned()],
        drop_frames: None,
    }
}

pub(super) fn sample(stack: &[u64], count: i64, labels: &[(&'static str, &str)]) -> Sample {
    Sample {
        stack: stack.into(),
        values: Box::new([count, 10_000_000 * count]),
        labels: labels.iter().map(|(key, text)| (*key, Arc::from(*text))).collect(),
    }
}

/// Names for addresses, the innermost function first; each address has a line of its own.
pub(super) fn resolved(names: &[(u64, &[&str])]) -> Resolved {
    let file = |from: u64, name: &str| {
        Some(Arc::new(Mapping {
            start: from,
            limit: from + 0x10_0000,
            offset: 0x1000,
            file: Arc::from(name),
            build_id: Arc::from("c0ffee"),
        }))
    };
    let (program, library) = (file(0x10_0000, "/opt/program"), file(0x20_0000, "/opt/library.so"));
    let locations = names.iter().map(|(address, names)| {
        let frame = |name: &&str| Frame {
            symbol: Arc::new(Symbol { name: Arc::from(*name), file: Arc::from(format!("src/{}.rs", name.len())) }),
            line: u32::try_from(*address % 1000).unwrap() + 1,
        };
        let mapping = [None, program.clone(), library.clone()].into_iter().nth((*address >> 20) as usize).flatten();
        (*address, Arc::new(Location { frames: names.iter().map(frame).collect(), mapping }))
    });
    Resolved { locations: locations.collect(), program }
}

/// Functions that call and inline each other, with names that are hard on every format.
pub(super) const NAMES: [(u64, &[&str]); 8] = [
    (Profile::TRUNCATED, &["[truncated]"]),
    (0x10_0010, &["program::main"]),
    (0x10_0020, &["<alloc::vec::Vec<[u8; 32]> as program::Take>::take", "program::run::<u8>"]),
    (0x10_0030, &["program::deep::{closure#0}", "program::deep", "program::main"]),
    (0x10_0040, &["program::deep"]),
    (0x20_0010, &["malloc"]),
    (0x20_0020, &["_rjem_prof_sample", "malloc", "program::run::<u8>"]),
    (0x20_0030, &["[library.so+0x1030]"]),
];

pub(super) fn symbolized(profile: Profile) -> Symbolized {
    Symbolized::new(profile, resolved(&NAMES))
}

fn labels() -> impl Strategy<Value = Labels> {
    let names = prop_oneof![Just("cpu_loop"), Just("GET /a;b <&> \"1\" 5"), Just("# json"), Just("")];
    let span = (names, 0..3_u64, 0..3_u128).prop_map(|(name, span, trace)| -> Labels {
        vec![
            ("local_root_span_id", Arc::from(format!("{:016x}", span / 2))),
            ("span_id", Arc::from(format!("{span:016x}"))),
            ("span_name", Arc::from(name)),
            ("trace_id", Arc::from(format!("{trace:032x}"))),
        ]
    });
    prop_oneof![1 => Just(Labels::new()), 3 => span]
}

pub(super) fn samples(values: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Vec<Sample>> {
    let address = proptest::sample::select(NAMES.map(|(address, _)| address).to_vec());
    let stack = proptest::collection::vec(address, 0..6);
    let sample = (stack, (values.clone(), values), labels()).prop_map(|(stack, values, labels)| Sample {
        stack: stack.into(),
        values: Box::new([values.0, values.1]),
        labels,
    });
    proptest::collection::vec(sample, 0..20)
}

type Sums = HashMap<(Arc<[u64]>, Labels), Vec<i64>>;

fn sums<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Sums {
    let mut sums = Sums::new();
    for sample in samples {
        let sum = sums.entry((sample.stack.clone(), sample.labels.clone())).or_insert_with(|| vec![0, 0]);
        sum.iter_mut().zip(&sample.values).for_each(|(sum, value)| *sum += value);
    }
    sums.retain(|_, values| values.iter().any(|value| *value != 0));
    sums
}

#[test]
fn each_condition_of_a_filter_holds_alone_and_all_hold_together() {
    let spans = [
        sample(&[1], 1, &[("span_id", "000000000000000a"), ("span_name", "a"), ("trace_id", &format!("{:032x}", 7))]),
        sample(
            &[1],
            2,
            &[("local_root_span_id", "000000000000000a"), ("span_name", "b"), ("trace_id", &format!("{:032x}", 7))],
        ),
        sample(&[1], 4, &[("local_root_span_name", "a"), ("span_name", "b"), ("trace_id", &format!("{:032x}", 8))]),
        sample(&[1], 8, &[]),
    ];
    let kept = |filter: Filter| {
        let mut profile = profile(spans.to_vec());
        profile.retain(&filter);
        profile.samples.iter().map(|sample| sample.values[0]).sum::<i64>()
    };
    assert_eq!(kept(Filter::default()), 15);
    assert_eq!(kept(Filter { since: Some(Duration::ZERO), ..Filter::default() }), 15);
    assert_eq!(kept(Filter { trace_id: Some(7), ..Filter::default() }), 3);
    assert_eq!(kept(Filter { span_id: Some(10), ..Filter::default() }), 3);
    assert_eq!(kept(Filter { span_name: Some("a".to_owned()), ..Filter::default() }), 5, "the root's name counts");
    assert_eq!(kept(Filter { span_name: Some("b".to_owned()), ..Filter::default() }), 6);
    assert_eq!(kept(Filter { span_name: Some("b".to_owned()), trace_id: Some(7), ..Filter::default() }), 2);
    assert_eq!(kept(Filter { span_id: Some(11), ..Filter::default() }), 0);
}

#[test]
fn a_difference_covers_the_time_between_both_ends() {
    let mut base = profile(vec![sample(&[2], 1, &[])]);
    base.comments.push("from the base".to_owned());
    let mut later = profile(vec![sample(&[2], 1, &[]), sample(&[3], 2, &[])]);
    later.start += Duration::from_secs(60);
    later.duration = Duration::from_secs(10);
    let difference = later.clone().minus(&base);
    assert_eq!(difference.samples, [sample(&[3], 2, &[])]);
    assert_eq!(difference.start, base.start + Duration::from_secs(30));
    assert_eq!(difference.duration, Duration::from_secs(40));
    assert_eq!(difference.comments, ["2 samples were lost", "from the base"]);
    assert_eq!(base.minus(&later).duration, Duration::ZERO);
}

#[test]
fn values_are_subtracted_from_their_own_type() {
    let mut base = profile(vec![sample(&[2], 3, &[])]);
    base.value_types = vec![CPU, ValueType { kind: "other", unit: "count" }];
    let difference = profile(vec![sample(&[2], 1, &[])]).minus(&base);
    assert_eq!(*difference.samples[0].values, [1, 10_000_000 - 3]);
}

#[test]
fn recursion_counts_once_and_inlined_functions_are_functions() {
    let top = symbolized(profile(vec![
        sample(&[0x10_0040, 0x10_0030, 0x10_0040, 0x10_0010], 5, &[]),
        sample(&[0x10_0030], 2, &[]),
    ]))
    .top(0);
    let costs: Vec<_> = top.iter().map(|function| (&*function.name, function.flat, function.cum)).collect();
    assert_eq!(
        costs,
        [("program::deep", 5, 7), ("program::deep::{closure#0}", 2, 7), ("program::main", 0, 7)],
        "{top:?}"
    );
    assert_eq!((top[0].file.as_deref(), top[0].line), (Some("src/13.rs"), Some(0x10_0040 % 1000 + 1)));
}

#[test]
fn a_value_type_that_does_not_exist_has_no_costs() {
    let symbolized = symbolized(profile(vec![sample(&[0x10_0010], 1, &[])]));
    assert!(symbolized.top(2).is_empty() && symbolized.folded(2).is_empty());
}

#[test]
fn frames_of_the_measuring_are_left_out_with_what_they_call() {
    let mut profile = profile(vec![
        sample(&[0x10_0040, 0x20_0010, 0x10_0020, 0x10_0010], 1, &[]),
        sample(&[0x20_0020, 0x10_0010], 2, &[]),
        sample(&[0x20_0010], 4, &[]),
        sample(&[0x20_0030, 0x10_0010], 8, &[]),
    ]);
    profile.drop_frames = Some("malloc|_rjem_.*");
    assert_eq!(
        symbolized(profile).folded(0),
        "malloc 4\n\
         program::main;[library.so+0x1030] 8\n\
         program::main;program::run::<u8> 2\n\
         program::main;program::run::<u8>;<alloc::vec::Vec<[u8, 32]> as program::Take>::take 1\n"
    );
}

#[test]
fn folded_stacks_stand_on_their_span() {
    let symbolized = symbolized(profile(vec![
        sample(&[0x10_0040, 0x10_0010], 1, &[("span_name", "GET /a;b\n")]),
        sample(&[0x10_0010], 2, &[]),
        sample(&[], 4, &[("span_name", "GET /a;b\n")]),
    ]));
    assert_eq!(
        symbolized.folded(0),
        "GET /a,b  4\nGET /a,b ;program::main;program::deep 1\n[no span];program::main 2\n"
    );
}

/// Calls of ten different functions, each with twenty callers of its own, below one of four spans.
fn wide() -> Symbolized {
    let stacks = (0..2_000_u64).map(|stack| {
        let address = |depth: u64| if depth == 0 { 5_000 + stack % 10 } else { 10_000 + 20 * stack + depth };
        let span = ["a", "b", "c", "d"][usize::try_from(stack % 4).unwrap()];
        let count = if stack == 7 { 1_000_000_000 } else { 7 };
        sample(&(0..20).map(address).collect::<Vec<_>>(), count, &[("span_name", span)])
    });
    let samples: Vec<Sample> = stacks.collect();
    let names: HashMap<u64, String> =
        samples.iter().flat_map(|sample| &*sample.stack).map(|address| (*address, format!("f{address}"))).collect();
    let names: Vec<(u64, Vec<&str>)> = names.iter().map(|(address, name)| (*address, vec![&**name])).collect();
    let names: Vec<(u64, &[&str])> = names.iter().map(|(address, names)| (*address, &**names)).collect();
    Symbolized::new(profile(samples), resolved(&names))
}

#[test]
fn stacks_that_nobody_could_see_end_at_their_caller_and_nothing_is_lost() {
    let folded = wide().folded(0);
    let lines: Vec<&str> = folded.lines().collect();
    // One large stack; the others of its span are counted to the span, those of the other spans to nobody's.
    assert_eq!(lines.len(), 3, "{folded}");
    assert_eq!(lines[0], format!("[other] {}", 1_500 * 7));
    assert_eq!(lines[1], format!("d {}", 499 * 7));
    assert!(lines[2].starts_with("d;f10159;") && lines[2].ends_with(";f5007 1000000000"), "{folded}");
}

#[test]
fn a_long_text_ends_and_says_so() {
    let name = "x".repeat(10_000);
    let names: [(u64, &[&str]); 1] = [(0x10_0010, &[&name])];
    let samples = (0..2_000).map(|count| sample(&[0x10_0010], count, &[])).collect();
    let text = Symbolized::new(profile(samples), resolved(&names)).text();
    assert!(text.len() < (8 << 20) + 20_000, "{}", text.len());
    let shown = text.lines().filter(|line| line.contains(" @ ")).count();
    assert!(text.ends_with(&format!("# {} smaller stacks are left out\n", 2_000 - shown)));
    assert!(text.contains("\n1999 19990000000 @"), "the largest are the first");
}

#[test]
fn the_text_holds_all_that_is_known() {
    let text = symbolized(profile(vec![
        sample(&[0x10_0040], 1, &[]),
        sample(&[0x10_0020, Profile::TRUNCATED], 2, &[("span_name", "a\"b"), ("trace_id", "c")]),
    ]))
    .text();
    assert_eq!(
        text,
        "cpu profile: total 3 30000000 of samples/count cpu/nanoseconds over 30s in 2 stacks\n\
         # 2 samples were lost\n\
         \n\
         2 20000000 @ 0x100020 0x1\n\
         # labels: {\"span_name\":\"a\\\"b\", \"trace_id\":\"c\"}\n\
         #\t0x100020\t<alloc::vec::Vec<[u8; 32]> as program::Take>::take\tsrc/50.rs:609\n\
         #\t0x100020\tprogram::run::<u8>\tsrc/18.rs:609\n\
         #\t0x1\t[truncated]\tsrc/11.rs:2\n\
         \n\
         1 10000000 @ 0x100040\n\
         #\t0x100040\tprogram::deep\tsrc/13.rs:641\n\
         \n"
    );
}

#[test]
fn a_profile_of_this_process_is_symbolized() {
    let here = black_box_address();
    let symbolized = profile(vec![sample(&[here, Profile::TRUNCATED], 3, &[])]).symbolize();
    let top = symbolized.top(0);
    assert!(top[0].name.contains("black_box_address") && (top[0].flat, top[0].cum) == (3, 3), "{top:?}");
    assert_eq!((&*top[1].name, top[1].flat, top[1].cum), ("[truncated]", 0, 3));
}

#[inline(never)]
fn black_box_address() -> u64 {
    std::hint::black_box(black_box_address as fn() -> u64 as usize as u64)
}

proptest! {
    #[test]
    fn what_is_added_back_to_a_difference_is_the_later_profile(
        base in samples(-3..100_i64),
        later in samples(-3..100_i64),
    ) {
        let difference = profile(later.clone()).minus(&profile(base.clone()));
        prop_assert!(difference.samples.iter().all(|sample| sample.values.iter().any(|value| *value != 0)));
        prop_assert_eq!(sums(&difference.samples).len(), difference.samples.len(), "each stack once");
        prop_assert_eq!(sums(difference.samples.iter().chain(&base)), sums(&later));
    }

    #[test]
    fn a_filter_and_its_opposites_share_the_samples(samples in samples(1..100_i64)) {
        let kept = |filter: &Filter| {
            let mut profile = profile(samples.clone());
            profile.retain(filter);
            profile.samples.len()
        };
        let of_traces: usize = (0..3).map(|id| kept(&Filter { trace_id: Some(id), ..Filter::default() })).sum();
        let without = samples.iter().filter(|sample| sample.labels.is_empty()).count();
        prop_assert_eq!(of_traces + without, samples.len());
    }

    #[test]
    fn folded_stacks_keep_the_total(samples in samples(1..100_i64)) {
        let total: i64 =
            samples.iter().filter(|sample| !sample.stack.is_empty() || !sample.labels.is_empty()).map(|s| s.values[0]).sum();
        let spans = samples.iter().any(|sample| !sample.labels.is_empty());
        let bare: i64 = samples.iter().filter(|s| s.stack.is_empty() && s.labels.is_empty()).map(|s| s.values[0]).sum();
        let folded = symbolized(profile(samples)).folded(0);
        let sum: i64 = folded.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum();
        prop_assert_eq!(sum, total + if spans { bare } else { 0 });
    }
}
