//! Profiles of every kind, one after the other and without a pause, of a process that does everything that is hard to profile: nested spans
//! over awaits, allocations, a blocked worker, panicking tasks, 10,000 tasks, threads that live 2 ms, a thread with a
//! 64 KiB stack that recursion fills. Nothing may crash, wedge, or carry a label that mixes two spans.
//!
//! 200 rounds, or as many as `STORM_ROUNDS` says; `make soak` runs a thousand.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod load;
#[path = "../it/rig.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod rig;
mod spans;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use load::Load;
use rig::label;
use span_profiler::execution::Recording;
use span_profiler::{Profile, Profiler, heap, tasks};
use tracing_subscriber::layer::SubscriberExt as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One profile of the CPU; four of them a second make 200 in less than a minute.
const ROUND: Duration = Duration::from_millis(250);

/// Names are looked up in one round of so many: it costs more than all the rest.
const SYMBOLIZED: u64 = 20;

#[derive(Debug, Default)]
struct Counts {
    cpu: u64,
    labelled: u64,
    heap: u64,
    tasks: usize,
    silent: usize,
    blockers: u64,
    events: usize,
    longest_dump: Duration,
}

#[test]
fn profiles_of_every_kind_neither_crash_nor_wedge_nor_tear() {
    #[expect(clippy::disallowed_methods, reason = "how `make soak` asks for more")]
    let rounds = std::env::var("STORM_ROUNDS").map_or(200, |rounds| rounds.parse().unwrap());
    let subscriber = tracing_subscriber::registry().with(spans::Ids).with(span_profiler::SpanLabels::new());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (profiler, _guard) = Profiler::builder().start().unwrap();
    let heap = heap::start().unwrap();
    let load = Load::start();
    let (start, mut counts) = (Instant::now(), Counts::default());
    for round in 0..rounds {
        let recording = Recording::start().unwrap();
        let capture = profiler.capture(997).unwrap();
        let before = Instant::now();
        let dump = tasks::dump_blocking(tasks::DUMP_LIMIT);
        counts.longest_dump = counts.longest_dump.max(before.elapsed());
        counts.tasks = counts.tasks.max(dump.tasks.len());
        counts.silent += dump.silent();
        counts.blockers += u64::from(dump.blockers().iter().any(|task| &*task.name == "blocker"));
        let live = heap.profile();
        std::thread::sleep(ROUND.saturating_sub(before.elapsed()));
        let profile = capture.finish();
        let trace = recording.finish();
        counts.events += trace.events();
        counts.heap += u64::try_from(live.samples.len()).unwrap();
        check(&profile, &mut counts);
        let since = span_profiler::Filter { since: Some(ROUND), ..Default::default() };
        check(&profiler.recorded(&since), &mut Counts::default());
        if round % SYMBOLIZED == 0 {
            assert!(!profile.symbolize().to_pprof().is_empty());
            assert!(!live.symbolize().to_pprof().is_empty());
            assert!(!dump.profile().symbolize().to_pprof().is_empty());
            assert!(!trace.to_perfetto().is_empty());
        }
    }
    let took = start.elapsed();
    // Whoever is wedged does no more requests.
    let before = load.requests.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(1));
    let requests = load.requests.load(Ordering::Relaxed);
    let (stats, panics, threads) =
        (profiler.stats(), load.panics.load(Ordering::Relaxed), load.threads.load(Ordering::Relaxed));
    load.stop();
    println!("{rounds} rounds in {took:.1?}: {counts:?}");
    println!("{requests} requests, {panics} panics, {threads} short threads; {stats:?}");
    assert!(requests > before, "no request in a second after {before}");
    assert!(counts.tasks > 10_000 && panics > 0 && threads > rounds, "the load was not what it should be");
    assert!(counts.labelled > counts.cpu / 10 && counts.heap > 0 && counts.events > 0);
    assert!(counts.blockers > 0, "a worker was blocked for half a second again and again, and no dump named it");
    assert!(
        counts.longest_dump < Duration::from_secs(10),
        "a dump came far after its limit: {:?}",
        counts.longest_dump
    );
}

/// Every label of a sample must be of one and the same span.
fn check(profile: &Profile, counts: &mut Counts) {
    for sample in &profile.samples {
        let count = u64::try_from(sample.values[0]).unwrap();
        counts.cpu += count;
        let Some(span_id) = label(sample, "span_id") else {
            assert_eq!(label(sample, "trace_id"), None, "{sample:?}");
            continue;
        };
        counts.labelled += count;
        let [name, root, root_name, trace] = ["span_name", "local_root_span_id", "local_root_span_name", "trace_id"]
            .map(|key| label(sample, key).unwrap());
        let span = spans::Span::of(span_id);
        assert_eq!((name, trace), (span.name(), &*span.trace()), "{sample:?}");
        assert_eq!((root, root_name), (&*span.root(), spans::ROOT), "{sample:?}");
    }
}
