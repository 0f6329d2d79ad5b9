//! Tasks wake as they do without us.

use std::task::Wake;

use super::*;

#[test]
fn an_idle_task_stays_idle_after_a_dump() {
    let _alone = alone();
    let runtime = one_thread();
    runtime.block_on(async {
        let gate = Gate::default();
        let task = spawn_named("wakes::idle", gate.clone());
        let plain = Gate::default();
        let untracked = tokio::spawn(plain.clone());
        tokio::task::yield_now().await;
        assert_eq!((gate.polls(), plain.polls()), (1, 1));
        for dumps in 1..=3 {
            let dump = dump(LONG).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.polls(), 1 + dumps, "one poll for each dump, and none after it");
            let [found] = named(&dump, "wakes::idle")[..] else { panic!("listed once") };
            assert!(found.answered && matches!(found.state, State::Idle(_)), "{found:?}");
            assert_eq!((found.polls, found.wakes), (1, 0), "a dump does not count");
        }
        assert_eq!(plain.polls(), 1);
        // The waker that is kept since the dump is the one that is used again, not another one at each poll.
        let registered = gate.registered();
        for more in 1..=5 {
            gate.wake();
            tokio::task::yield_now().await;
            assert_eq!(gate.polls(), 4 + more);
        }
        assert_eq!(gate.registered(), registered);
        let found = dump_blocking(Duration::ZERO);
        let [found] = named(&found, "wakes::idle")[..] else { panic!("listed once") };
        assert_eq!((found.polls, found.wakes, found.answered), (6, 5, false));
        gate.open();
        plain.open();
        task.await.unwrap();
        untracked.await.unwrap();
    });
}

struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future may be polled with another waker each time; the one that it saw last has to work.
#[test]
fn the_latest_waker_is_woken() {
    let _alone = alone();
    let gate = Gate::default();
    let mut tracked = std::pin::pin!(Tracked::new("wakes::moved", gate.clone()));
    let counters: Vec<_> = (0..3).map(|_| Arc::new(Counter(AtomicUsize::new(0)))).collect();
    for counter in &counters {
        let waker = Waker::from(Arc::clone(counter));
        assert!(tracked.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.wake();
    let woken: Vec<_> = counters.iter().map(|counter| counter.0.load(Ordering::SeqCst)).collect();
    assert_eq!(woken, [0, 0, 1]);
}

/// Messages go round while dumps poll every task at any moment: each lost wake would stop the ring.
#[test]
fn no_wake_is_lost_between_dumps() {
    let _alone = alone();
    const TASKS: usize = 16;
    const ROUNDS: usize = 2_000;
    let runtime = workers(2);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..TASKS).map(|_| tokio::sync::mpsc::channel::<usize>(1)).unzip();
    let mut next: Vec<_> = senders.clone();
    next.rotate_left(1);
    let tasks: Vec<_> = receivers
        .into_iter()
        .zip(next)
        .map(|(mut receiver, next)| {
            spawn_named_on(
                "wakes::ring",
                async move {
                    for _ in 0..ROUNDS {
                        let message = receiver.recv().await.unwrap();
                        tokio::select! {
                            biased;
                            () = std::future::pending() => {}
                            sent = next.send(message + 1) => drop(sent.ok()),
                        }
                    }
                },
                runtime.handle(),
            )
        })
        .collect();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let dumper = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut dumps = 0;
            while !done.load(Ordering::SeqCst) {
                let _ = dump_blocking(LONG);
                dumps += 1;
            }
            dumps
        }
    });
    runtime.block_on(async {
        senders[0].send(0).await.unwrap();
        let all = async {
            for task in tasks {
                task.await.unwrap();
            }
        };
        tokio::time::timeout(LONG, all).await.expect("the ring stopped");
    });
    done.store(true, Ordering::SeqCst);
    assert!(dumper.join().unwrap() > 0);
}
