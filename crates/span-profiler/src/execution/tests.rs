//! Catches traces that do not nest, that miss polls or wakes, or that hide what they miss.

#[cfg(feature = "__foreign")]
mod foreign;
mod reader;

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::tasks::spawn_named;
use crate::tasks::tests::alone;
use crate::{SpanLabels, names};
use reader::{Read, read};

fn labels() -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(SpanLabels::new()))
}

/// Two tasks that wake each other, `rounds` times.
fn ping_pong(names: [&'static str; 2], rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_all().build().unwrap();
    runtime.block_on(async {
        let (to_second, mut first) = tokio::sync::mpsc::channel::<()>(1);
        let (to_first, mut second) = tokio::sync::mpsc::channel::<()>(1);
        let one = spawn_named(names[0], async move {
            for _ in 0..rounds {
                to_second.send(()).await.unwrap();
                second.recv().instrument(tracing::info_span!("execution_wait")).await.unwrap();
            }
        });
        let two = spawn_named(names[1], async move {
            for _ in 0..rounds {
                first.recv().await.unwrap();
                to_first.send(()).await.unwrap();
            }
        });
        one.await.unwrap();
        two.await.unwrap();
    });
}

#[test]
fn polls_wakes_and_spans_are_there_and_connect() {
    let _alone = alone();
    let _subscriber = labels();
    let recording = Recording::start().unwrap();
    ping_pong(["execution::ping", "execution::pong"], 10);
    let trace = recording.finish();
    let Read { slices, wakes, .. } = read(&trace.to_perfetto());
    let polls = |name: &str| slices.iter().filter(|slice| slice.category == "poll" && slice.name == name).count();
    // One for each message; the side that begins has to wait for the first.
    assert_eq!((polls("execution::ping"), polls("execution::pong")), (11, 10));
    let entered = slices.iter().filter(|slice| slice.name == "execution_wait" && slice.category == "span").count();
    assert!(entered >= 20, "entered by the poll that waits and by the one that goes on, and left for good: {entered}");
    let ours = |name: &&str| name.starts_with("execution::p");
    let caused: Vec<_> = slices.iter().filter(|slice| ours(&&*slice.name)).collect();
    for slice in &caused {
        let [flow] = slice.flows[..] else { panic!("nothing causes {slice:?}") };
        let causes: Vec<_> = wakes.iter().filter(|wake| wake.flows.contains(&flow)).collect();
        let [wake] = causes[..] else { panic!("{flow:x} is caused by {causes:?}") };
        assert!(wake.at <= slice.begin && wake.task == slice.task, "{wake:?} {slice:?}");
        let verb = wake.name.split(' ').next().unwrap();
        assert_eq!(wake.name, format!("{verb} {}", slice.name));
    }
    assert_eq!(wakes.iter().filter(|wake| wake.name.starts_with("spawn execution::p")).count(), 2);
}

#[test]
fn what_is_open_at_either_end_is_closed_there() {
    let _alone = alone();
    let _subscriber = labels();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let task = spawn_named("execution::edges", async {
            let before = tracing::info_span!("execution_before").entered();
            let recording = Recording::start().unwrap();
            drop(before);
            let after = tracing::info_span!("execution_after").entered();
            let trace = recording.finish();
            drop(after);
            trace
        });
        let trace = task.await.unwrap();
        let Read { slices, began, ended, .. } = read(&trace.to_perfetto());
        let find = |name: &str| {
            slices.iter().find(|slice| slice.name == name).unwrap_or_else(|| panic!("{name}: {slices:#?}"))
        };
        let (poll, before, after) = (find("execution::edges"), find("execution_before"), find("execution_after"));
        assert_eq!((poll.begin, poll.end), (began, ended), "open all the time");
        assert!(before.begin == began && before.end <= after.begin && after.end == ended);
        assert!(before.depth == poll.depth + 1 && after.depth == before.depth, "spans are inside of the poll");
    });
}

/// A thread without a single event, because it is stuck, is the one that people look for.
#[test]
fn a_poll_that_lasts_longer_than_the_recording_is_shown() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let (started, starts) = std::sync::mpsc::channel();
    let task = crate::tasks::spawn_named_on(
        "execution::stuck",
        async move {
            started.send(()).unwrap();
            stuck.recv().unwrap();
        },
        runtime.handle(),
    );
    starts.recv().unwrap();
    let trace = Recording::start().unwrap().finish();
    release.send(()).unwrap();
    runtime.block_on(task).unwrap();
    let Read { slices, began, ended, .. } = read(&trace.to_perfetto());
    let stuck = slices.iter().find(|slice| slice.name == "execution::stuck").unwrap();
    assert_eq!((stuck.begin, stuck.end), (began, ended));
    assert!(!stuck.thread.is_empty());
}

#[test]
fn a_span_that_is_renamed_or_left_out_of_order_still_nests() {
    let _alone = alone();
    let _subscriber = labels();
    let recording = Recording::start().unwrap();
    let one = tracing::info_span!("execution_one", otel.name = tracing::field::Empty);
    let two = tracing::info_span!("execution_two");
    let (first, second) = (one.enter(), two.enter());
    one.record("otel.name", "execution_renamed");
    drop(first);
    drop(second);
    let trace = recording.finish();
    let Read { slices, ended, .. } = read(&trace.to_perfetto());
    let one: Vec<_> = slices.iter().filter(|slice| slice.name == "execution_one").collect();
    let two: Vec<_> = slices.iter().filter(|slice| slice.name == "execution_two").collect();
    assert_eq!((one.len(), two.len()), (1, 2), "{slices:#?}");
    assert!(one[0].end < ended && two[0].end == one[0].end && two[1].begin == one[0].end);
    assert!(!slices.iter().any(|slice| slice.name == "execution_renamed"));
}

#[test]
fn what_finds_no_room_is_counted_and_said() {
    let _alone = alone();
    let name = names::intern("execution_lost");
    let recording = Recording::with_capacity(1_000).unwrap();
    let events = 3_000;
    for id in 0..events / 2 {
        enter(name, id, 0);
        exit(name, id, 0);
    }
    enter(name, events, 0);
    let trace = recording.finish();
    // Other tests' threads may write too.
    assert!(trace.events() <= 1_024 && trace.lost() > 1_900, "{} {}", trace.events(), trace.lost());
    let Read { slices, notes, ended, .. } = read(&trace.to_perfetto());
    assert!(notes.iter().any(|note| note.contains(&format!("{} events are lost", trace.lost()))), "{notes:?}");
    assert!(notes.iter().any(|note| note == "later events of this thread are lost"), "{notes:?}");
    let last = slices.iter().filter(|slice| slice.name == "execution_lost").map(|slice| slice.end).max().unwrap();
    assert!(last < ended, "nothing is known after the cut");
}

#[test]
fn what_a_trace_lacks_is_said_in_it() {
    let _alone = alone();
    let trace = Recording::start().unwrap().finish();
    let Read { notes, .. } = read(&trace.to_perfetto());
    assert_eq!(notes, trace.notes());
    assert!(notes.iter().any(|note| note.contains("spawn_named")), "{notes:?}");
}

#[test]
fn one_recording_at_a_time_and_dropping_one_makes_room() {
    let _alone = alone();
    assert!(!active());
    let recording = Recording::start().unwrap();
    assert!(active());
    assert_eq!(Recording::start().unwrap_err(), Busy);
    enter(names::intern("execution_dropped"), 1, 0);
    drop(recording);
    assert!(!active());
    let trace = Recording::start().unwrap().finish();
    let name = names::intern("execution_dropped");
    assert!(!trace.any(|event| event.name == name), "of the recording before");
}

#[test]
fn nothing_is_written_after_the_end() {
    let _alone = alone();
    let name = names::intern("execution_late");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for id in 0..2 {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    enter(name, id, 0);
                    exit(name, id, 0);
                }
            });
        }
        let _ends = SetOnDrop(&done);
        for _ in 0..50 {
            let trace = Recording::start().unwrap().finish();
            let Read { slices, began, ended, .. } = read(&trace.to_perfetto());
            assert!(slices.iter().all(|slice| began <= slice.begin && slice.end <= ended));
        }
    });
}

/// Ends the threads of a scope also when a test fails, or the scope would wait for them.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
