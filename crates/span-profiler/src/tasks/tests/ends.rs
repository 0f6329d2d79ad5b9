//! Entries leave with their tasks, however those end.

use super::*;

fn count(name: &str) -> usize {
    named(&dump_blocking(Duration::ZERO), name).len()
}

#[test]
fn an_entry_leaves_with_its_task() {
    let _alone = alone();
    let runtime = one_thread();
    runtime.block_on(async {
        let name = "ends::every_way";
        let gate = Gate::default();
        let ended = spawn_named(name, gate.clone());
        let cancelled = spawn_named(name, std::future::pending::<()>());
        let panicked = spawn_named(name, async { panic!("on purpose") });
        let unpolled = Tracked::new(name, async {});
        assert_eq!(count(name), 4);
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(count(name), 3, "a panic");
        gate.open();
        ended.await.unwrap();
        assert_eq!(count(name), 2, "an end");
        cancelled.abort();
        assert!(cancelled.await.unwrap_err().is_cancelled());
        assert_eq!(count(name), 1, "a cancellation");
        drop(unpolled);
        assert_eq!(count(name), 0, "never polled");
        drop(spawn_named(name, std::future::pending::<()>()));
        assert_eq!(count(name), 1, "detached");
    });
    drop(runtime);
    assert_eq!(count("ends::every_way"), 0, "the end of the runtime");
}

/// A future that ends or panics when a dump polls it must not let the dump wait.
#[test]
fn a_dump_does_not_wait_for_tasks_that_end() {
    let _alone = alone();
    let runtime = workers(2);
    let polls = |end: fn() -> Poll<()>| {
        let mut polls = 0;
        std::future::poll_fn(move |_| {
            polls += 1;
            if polls == 1 { Poll::Pending } else { end() }
        })
    };
    let ended = spawn_named_on("ends::at_the_dump", polls(|| Poll::Ready(())), runtime.handle());
    let panicked = spawn_named_on("ends::at_the_dump", polls(|| panic!("on purpose")), runtime.handle());
    runtime.block_on(async {
        while named(&dump_blocking(Duration::ZERO), "ends::at_the_dump").iter().any(|task| task.polls == 0) {
            tokio::task::yield_now().await;
        }
        let started = std::time::Instant::now();
        dump(LONG).await;
        assert!(started.elapsed() < LONG, "waited for the limit");
        ended.await.unwrap();
        assert!(panicked.await.unwrap_err().is_panic());
    });
    assert_eq!(count("ends::at_the_dump"), 0);
}

/// The registry keeps the waker, the waker the task, the task its entry.
#[test]
fn nothing_keeps_an_ended_task_alive() {
    let _alone = alone();
    let kept = Arc::new(());
    let runtime = one_thread();
    runtime.block_on(async {
        let (inside, gate) = (Arc::clone(&kept), Gate::default());
        let waits = gate.clone();
        let task = spawn_named("ends::circle", async move {
            waits.await;
            drop(inside);
        });
        tokio::task::yield_now().await;
        dump(LONG).await;
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(Arc::strong_count(&gate.0), 1);
    });
    assert_eq!(Arc::strong_count(&kept), 1);
}
