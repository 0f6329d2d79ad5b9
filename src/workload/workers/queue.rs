//! The queue between the one who makes tasks and those who work on them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep_until};

use super::Plan;
use super::task::Task;

/// Tasks that wait at most; whoever makes more waits too. Some seconds of work, each task being two words.
pub const CAPACITY: usize = 256;

/// Where tasks go in.
#[derive(Debug)]
pub(super) struct Entry {
    sender: mpsc::Sender<Task>,
    waiting: Waiting,
}

/// Where tasks come out; a task goes to one of those who ask.
#[derive(Debug)]
pub(super) struct Exit {
    receiver: Mutex<mpsc::Receiver<Task>>,
    waiting: Waiting,
}

/// How many tasks wait; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn queue() -> (Entry, Exit) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let waiting = Waiting::default();
    (Entry { sender, waiting: waiting.clone() }, Exit { receiver: Mutex::new(receiver), waiting })
}

impl Entry {
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Puts in the tasks of `plan`, each at its time or, when the queue was full then, as soon as there is room. Returns
    /// how many it has put in, which are fewer than planned only when `stop` came.
    pub(super) async fn fill(self, plan: &Plan, mut stop: Pin<&mut impl Future<Output = ()>>) -> u64 {
        let begin = Instant::now();
        for id in 0..plan.tasks {
            let put = async {
                sleep_until(begin + plan.due(id)).await;
                if let Ok(room) = self.sender.reserve().await {
                    // Counted in before somebody can take it out.
                    self.waiting.0.fetch_add(1, Ordering::Relaxed);
                    room.send(Task::new(id));
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return id,
                () = put => {}
            }
        }
        plan.tasks
    }
}

impl Exit {
    /// The next task; `None` when no more will come.
    ///
    /// # Cancel safety
    /// No task is lost.
    pub(super) async fn take(&self) -> Option<Task> {
        let task = self.receiver.lock().await.recv().await?;
        self.waiting.0.fetch_sub(1, Ordering::Relaxed);
        Some(task)
    }
}
