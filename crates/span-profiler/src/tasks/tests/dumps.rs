//! Dumps of many tasks, of blocked workers, and several at once.

use std::sync::mpsc;
use std::time::Instant;

use super::*;

#[test]
fn a_blocked_worker_does_not_keep_the_others_from_answering() {
    let _alone = alone();
    let runtime = workers(2);
    let (release, blocked) = mpsc::channel::<()>();
    let gates: Vec<Gate> = (0..1_000).map(|_| Gate::default()).collect();
    let tasks: Vec<_> =
        gates.iter().map(|gate| spawn_named_on("dumps::waiting", gate.clone(), runtime.handle())).collect();
    gates.iter().for_each(|gate| gate.until_polled(1));
    let (started, starts) = mpsc::channel();
    let blocker = async move {
        started.send(()).unwrap();
        blocked.recv().unwrap();
    };
    let blocker = spawn_named_on("dumps::blocker", blocker, runtime.handle());
    starts.recv().unwrap();
    let begun = Instant::now();
    let dump = dump_blocking(DUMP_LIMIT);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    let waiting = named(&dump, "dumps::waiting");
    let answered = waiting.iter().filter(|task| task.answered).count();
    assert_eq!((waiting.len(), answered), (1_000, 1_000));
    let [found] = named(&dump, "dumps::blocker")[..] else { panic!("listed once") };
    assert!(!found.answered && matches!(found.state, State::Running(_)), "{found:?}");
    assert!(dump.blockers().iter().any(|task| task.id == found.id), "{found:?}");
    release.send(()).unwrap();
    runtime.block_on(async {
        blocker.await.unwrap();
        gates.iter().for_each(Gate::open);
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn ten_thousand_tasks_are_dumped() {
    let _alone = alone();
    const TASKS: usize = 10_000;
    let runtime = workers(2);
    let gates: Vec<Gate> = (0..TASKS).map(|_| Gate::default()).collect();
    for gate in &gates {
        spawn_named_on("dumps::many", gate.clone(), runtime.handle());
    }
    gates.iter().for_each(|gate| gate.until_polled(1));
    let begun = Instant::now();
    let dump = dump_blocking(LONG);
    println!("{TASKS} tasks: {:?}", begun.elapsed());
    let found = named(&dump, "dumps::many");
    assert_eq!(found.len(), TASKS);
    assert!(found.iter().all(|task| task.answered));
    assert!(gates.iter().all(|gate| gate.polls() == 2));
    let shared = &found[0].stacks;
    if cfg!(target_os = "linux") {
        let same = |task: &&Task| Arc::ptr_eq(&task.stacks[0].addresses, &shared[0].addresses);
        assert!(found.iter().all(same), "equal stacks are kept once");
    }
    let profile = dump.profile();
    let labelled =
        |sample: &&crate::Sample| sample.labels.iter().any(|(key, value)| *key == "task" && &**value == "dumps::many");
    let values: Vec<_> = profile.samples.iter().filter(labelled).map(|sample| sample.values.to_vec()).collect();
    assert_eq!(values, [[TASKS as i64, TASKS as i64]], "one place, all tasks");
}

#[test]
fn dumps_at_the_same_time_do_not_disturb_each_other() {
    let _alone = alone();
    let runtime = workers(2);
    let gates: Vec<Gate> = (0..200).map(|_| Gate::default()).collect();
    for gate in &gates {
        spawn_named_on("dumps::shared", gate.clone(), runtime.handle());
    }
    gates.iter().for_each(|gate| gate.until_polled(1));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let dump = dump_blocking(LONG);
                    let found = named(&dump, "dumps::shared");
                    assert_eq!(found.len(), gates.len());
                    assert!(found.iter().all(|task| task.answered));
                }
            });
        }
    });
    assert!(gates.iter().all(|gate| gate.polls() <= 1 + 8 * 5), "more polls than dumps");
}

/// A future that its owner does not poll any more costs the dump its limit and nothing else, and does not confuse the next one.
#[test]
fn a_question_that_was_not_answered_is_taken_back() {
    let _alone = alone();
    let runtime = one_thread();
    runtime.block_on(async {
        let mut put_aside = Box::pin(Tracked::new("dumps::put_aside", Gate::default()));
        std::future::poll_fn(|context| {
            assert!(put_aside.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let first = dump(Duration::from_millis(20)).await;
        let [found] = named(&first, "dumps::put_aside")[..] else { panic!("listed once") };
        assert!(!found.answered && found.stacks.is_empty() && matches!(found.state, State::Idle(_)), "{found:?}");
        std::future::poll_fn(|context| {
            assert!(put_aside.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let now = dump_blocking(Duration::ZERO);
        assert_eq!(named(&now, "dumps::put_aside")[0].polls, 2, "an ordinary poll");
    });
}

#[test]
fn pages_show_what_people_look_for() {
    let _alone = alone();
    let runtime = one_thread();
    let dump = runtime.block_on(async {
        for _ in 0..3 {
            spawn_named(
                "dumps::page",
                std::future::poll_fn(|context| {
                    drop(context.waker().clone());
                    Poll::<()>::Pending
                }),
            );
        }
        tokio::task::yield_now().await;
        dump(LONG).await
    });
    let name = |address: u64| vec![format!("function_{address:x}")];
    let summary = dump.summary(&name);
    assert!(summary.starts_with("task profile: total "), "{summary}");
    assert!(summary.contains("\"dumps::page\": 3") || summary.contains("\"dumps::page\": "), "{summary}");
    let text = dump.text(&name);
    let ours: Vec<&str> = text.split("\n\n").filter(|part| part.contains("\"dumps::page\" [idle, ")).collect();
    assert_eq!(ours.len(), 3, "{text}");
    assert!(ours[0].contains("polls 1, wakes 0, busy ") && ours[0].contains("last poll "), "{text}");
    assert!(!cfg!(target_os = "linux") || ours[0].contains("function_"), "{text}");
}
