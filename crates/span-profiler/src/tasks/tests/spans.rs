//! Tasks carry the span that they are in, not one of the threads that they visit.

use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::SpanLabels;

fn span_of(task: &Task) -> &str {
    task.span.as_ref().map_or("", |span| &span.name)
}

#[test]
fn an_idle_task_is_in_the_span_that_it_waits_in() {
    let _alone = alone();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(SpanLabels::new()));
    let runtime = one_thread();
    runtime.block_on(async {
        let gates: [Gate; 3] = Default::default();
        let [waits, left, outside] = gates.clone();
        spawn_named(
            "spans::inside",
            waits.instrument(tracing::info_span!("spans_inner")).instrument(tracing::info_span!("spans_outer")),
        );
        spawn_named(
            "spans::left",
            async move {
                async {}.instrument(tracing::info_span!("spans_left")).await;
                left.await;
            }
            .instrument(tracing::info_span!("spans_stayed")),
        );
        tokio::spawn(Tracked::new("spans::outside", outside).instrument(tracing::info_span!("spans_around")));
        spawn_named("spans::none", std::future::pending::<()>());
        tokio::task::yield_now().await;
        // Without an answer it is the span that was entered last.
        let unasked = dump_blocking(Duration::ZERO);
        let asked = dump(LONG).await;
        for (dump, left) in [(&unasked, "spans_left"), (&asked, "spans_stayed")] {
            let names =
                ["inside", "left", "outside", "none"].map(|name| span_of(named(dump, &format!("spans::{name}"))[0]));
            assert_eq!(names, ["spans_inner", left, "spans_around", ""]);
        }
    });
}

/// The span of a task that does not answer is the one its thread is in.
#[test]
fn a_blocker_is_named_with_its_span_and_thread() {
    let _alone = alone();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(SpanLabels::new()));
    let runtime = one_thread();
    let (sender, receiver) = std::sync::mpsc::channel();
    // The dump comes from another thread, in a runtime of its own.
    let other = std::thread::spawn(move || {
        let runtime = one_thread();
        let dump = runtime.block_on(async {
            loop {
                let dump = dump(Duration::from_millis(50)).await;
                let found = dump
                    .blockers()
                    .iter()
                    .any(|task| &*task.name == "spans::blocker" && span_of(task) == "spans_stuck");
                if found {
                    return dump;
                }
            }
        });
        sender.send(()).unwrap();
        dump
    });
    let thread = std::thread::current().name().unwrap().to_owned();
    runtime.block_on(async {
        let idle = spawn_named("spans::behind", std::future::pending::<()>());
        tokio::task::yield_now().await;
        let blocker = spawn_named("spans::blocker", async move {
            async move {
                tracing::info_span!("spans_passed").in_scope(|| ());
                receiver.recv().unwrap();
            }
            .instrument(tracing::info_span!("spans_stuck"))
            .await;
        });
        blocker.await.unwrap();
        idle.abort();
    });
    let dump = other.join().unwrap();
    let blockers = dump.blockers();
    let blocker = blockers.iter().find(|task| &*task.name == "spans::blocker").unwrap();
    assert!(blocker.thread.as_deref().unwrap().starts_with(&thread), "{blocker:?}");
    assert!(matches!(blocker.state, State::Running(time) if time > dump.limit));
    let [behind] = named(&dump, "spans::behind")[..] else { panic!("listed once") };
    assert!(!behind.answered && matches!(behind.state, State::Idle(_)), "{behind:?}");
    let text = dump.summary(&|_| Vec::new());
    assert!(text.contains("BLOCKED: task") && text.contains("in span \"spans_stuck\""), "{text}");
}
