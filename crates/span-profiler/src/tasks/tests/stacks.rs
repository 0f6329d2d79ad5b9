//! Dumps find the await points.

use super::*;

#[inline(never)]
async fn outer_of_one(gate: Gate) {
    inner_of_one(gate).await;
    std::hint::black_box(());
}

#[inline(never)]
async fn inner_of_one(gate: Gate) {
    gate.await;
    std::hint::black_box(());
}

fn dump_of(name: &str, future: impl Future<Output = ()> + Send + 'static) -> Task {
    let runtime = one_thread();
    runtime.block_on(async {
        spawn_named(name.to_owned(), future);
        tokio::task::yield_now().await;
        let dump = dump(LONG).await;
        let [task] = named(&dump, name)[..] else { panic!("listed once") };
        task.clone()
    })
}

#[cfg_attr(not(target_os = "linux"), ignore = "no stacks here")]
#[test]
fn a_stack_leads_from_the_await_point_to_the_task() {
    let _alone = alone();
    let task = dump_of("stacks::one", outer_of_one(Gate::default()));
    let [stack] = &task.stacks[..] else { panic!("{task:?}") };
    let functions = functions(&stack.addresses);
    let at = |part: &str| {
        functions.iter().position(|name| name.contains(part)).unwrap_or_else(|| panic!("{part}: {functions:#?}"))
    };
    assert!(
        at("Gate as core::future") < at("inner_of_one") && at("inner_of_one") < at("outer_of_one"),
        "{functions:#?}"
    );
    assert!(functions.last().unwrap().contains("with_probe"), "{functions:#?}");
    assert!(at("Gate as core::future") <= 1, "only the waker's clone may be below: {functions:#?}");
    assert!(
        !functions.iter().any(|name| name.contains("tokio::runtime")),
        "goes on outside of the task: {functions:#?}"
    );
}

#[cfg_attr(not(target_os = "linux"), ignore = "no stacks here")]
#[test]
fn every_branch_of_a_join_has_its_stack() {
    let _alone = alone();
    let [one, two] = [Gate::default(), Gate::default()];
    let task = dump_of("stacks::two", async move {
        tokio::join!(outer_of_one(one), inner_of_one(two));
    });
    assert_eq!((task.stacks.len(), task.more_stacks), (2, 0));
    let of: Vec<bool> = task
        .stacks
        .iter()
        .map(|stack| functions(&stack.addresses).iter().any(|name| name.contains("outer_of_one")))
        .collect();
    assert!(of.contains(&true) && of.contains(&false), "{of:?}");
}

#[cfg_attr(not(target_os = "linux"), ignore = "no stacks here")]
#[test]
fn more_branches_than_stacks_are_counted_and_equal_ones_kept_once() {
    let _alone = alone();
    let gates: [Gate; 6] = Default::default();
    let many = gates.clone();
    let task = dump_of("stacks::many", async move {
        let [a, b, c, d, e, f] = gates;
        tokio::join!(a, b, c, d, e, f);
    });
    assert_eq!((task.stacks.len(), task.more_stacks), (4, 2));
    let task = dump_of("stacks::equal", async move {
        let mut gates = many;
        std::future::poll_fn(move |context| {
            let pending = gates.iter_mut().map(|gate| Pin::new(gate).poll(context)).filter(Poll::is_pending).count();
            if pending == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    let [stack] = &task.stacks[..] else { panic!("{task:?}") };
    assert_eq!((stack.times, task.more_stacks), (6, 0));
}

#[cfg_attr(not(target_os = "linux"), ignore = "no stacks here")]
#[test]
fn deep_stacks_are_cut_at_the_root() {
    fn nest(depth: usize, gate: Gate) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if depth == 0 { Box::pin(gate) } else { Box::pin(async move { nest(depth - 1, gate).await }) }
    }
    let task = dump_of("stacks::deep", nest(200, Gate::default()));
    let addresses = &task.stacks[0].addresses;
    assert_eq!((addresses.len(), addresses.last()), (crate::sys::MAX_FRAMES + 1, Some(&crate::Profile::TRUNCATED)));
}

/// What tokio's own futures do with the probe.
#[cfg_attr(not(target_os = "linux"), ignore = "no stacks here")]
#[test]
fn futures_of_tokio_tell_where_they_wait() {
    let _alone = alone();
    let runtime = workers(1);
    runtime.block_on(async {
        let (_sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
        let (_once, once) = tokio::sync::oneshot::channel::<()>();
        let notify = Arc::new(tokio::sync::Notify::new());
        let full = Arc::new(tokio::sync::Semaphore::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let waits_for = tokio::spawn(std::future::pending::<()>());
        spawn_named("tokio::mpsc", async move { assert_eq!(receiver.recv().await, None) });
        spawn_named("tokio::oneshot", async move { drop(once.await) });
        spawn_named("tokio::notify", async move { notify.notified().await });
        spawn_named("tokio::semaphore", async move { drop(full.acquire().await) });
        spawn_named("tokio::accept", async move { drop(listener.accept().await) });
        spawn_named("tokio::sleep", async { tokio::time::sleep(LONG * 10).await });
        spawn_named("tokio::join", async move { drop(waits_for.await) });
        let names = ["mpsc", "oneshot", "notify", "semaphore", "accept", "sleep", "join"];
        let polled = |dump: &TaskDump| names.iter().all(|name| named(dump, &format!("tokio::{name}"))[0].polls > 0);
        while !polled(&dump_blocking(Duration::ZERO)) {
            tokio::task::yield_now().await;
        }
        let dump = dump(LONG).await;
        for name in names {
            let [task] = named(&dump, &format!("tokio::{name}"))[..] else { panic!("listed once") };
            assert!(task.answered && task.stacks.len() == 1, "{task:?}");
            let functions = functions(&task.stacks[0].addresses);
            assert!(functions.iter().any(|name| name.contains("tokio::")), "{name}: {functions:#?}");
        }
    });
}

#[test]
fn tracked_futures_inside_of_each_other_both_answer() {
    let _alone = alone();
    let runtime = one_thread();
    runtime.block_on(async {
        let gate = Gate::default();
        let inner = Tracked::new("stacks::nested_inner", gate.clone());
        let task = spawn_named("stacks::nested_outer", inner);
        tokio::task::yield_now().await;
        for _ in 0..2 {
            let dump = dump(LONG).await;
            for name in ["stacks::nested_inner", "stacks::nested_outer"] {
                let [task] = named(&dump, name)[..] else { panic!("listed once") };
                assert!(task.answered, "{task:?}");
            }
        }
        let polls = gate.polls();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.polls(), polls, "they keep waking each other");
        gate.open();
        task.await.unwrap();
    });
}
