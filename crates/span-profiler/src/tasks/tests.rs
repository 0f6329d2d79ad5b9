//! Catches dumps that disturb what they look at, and tasks that a dump does not find or finds in the wrong place.
//!
//! The registry is shared by all tests of the process, so each test looks for tasks by names of its own.

mod dumps;
mod ends;
mod spans;
mod stacks;
mod wakes;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::*;

/// Where a dump ought to be done at once, but another test may block a task of its own.
const LONG: Duration = Duration::from_secs(60);

/// One test at a time: each looks at how often its tasks were polled, and a dump polls those of all tests. Nor can there be
/// two execution traces.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn named<'a>(dump: &'a TaskDump, name: &str) -> Vec<&'a Task> {
    dump.tasks.iter().filter(|task| &*task.name == name).collect()
}

/// The functions of a stack, the innermost first.
fn functions(stack: &[u64]) -> Vec<String> {
    use blazesym::symbolize::source::{Process, Source};
    use blazesym::symbolize::{Input, Symbolizer};

    let source = Source::Process(Process::new(blazesym::Pid::Slf));
    let symbolizer = Symbolizer::new();
    let found = symbolizer.symbolize(&source, Input::AbsAddr(stack)).unwrap();
    found.iter().filter_map(|found| found.as_sym()).map(|symbol| symbol.name.to_string()).collect()
}

/// Waits until it is released, counts its polls, and keeps the waker as futures do.
#[derive(Clone, Default)]
struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    polls: AtomicUsize,
    registered: AtomicUsize,
    open: std::sync::atomic::AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    fn registered(&self) -> usize {
        self.0.registered.load(Ordering::SeqCst)
    }

    fn open(&self) {
        self.0.open.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.0.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// For tasks of another thread.
    fn until_polled(&self, times: usize) {
        while self.polls() < times {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Future for Gate {
    type Output = ();

    #[inline(never)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waker = self.0.waker.lock().unwrap();
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
            self.0.registered.fetch_add(1, Ordering::SeqCst);
        }
        drop(waker);
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        if self.0.open.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}
