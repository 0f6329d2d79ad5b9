//! The future that keeps a task's entry, and polls with wakers of its own.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::entry::{Begun, Entry, Link};
use super::registry::REGISTRY;
use super::round::{Answer, Captured, Round};
use crate::labels::{self, Label};
use crate::{sys, threads};

pin_project! {
    /// A future that is in the registry until it ends or is dropped.
    ///
    /// For futures that are not spawned by [`spawn_named`](super::spawn_named), such as the handler of a request inside of a
    /// connection's task. Waking works as without it.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        registration: Option<Registration>,
    }
}

impl<F> Tracked<F> {
    /// Enters a future into the registry under this name. See [`spawn_named`](super::spawn_named) for names.
    pub fn new(name: impl Into<Cow<'static, str>>, future: F) -> Self {
        let entry = REGISTRY.add(super::name_id(name.into()));
        let registration = entry.map(|entry| {
            entry.spawned();
            Registration { entry, link: None }
        });
        Self { future, registration }
    }

    /// The task's number in dumps; `None` if the registry was full.
    pub fn id(&self) -> Option<u64> {
        self.registration.as_ref().map(|registration| registration.entry.id)
    }
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(registration) = this.registration.as_mut() else { return this.future.poll(context) };
        registration.link(context.waker());
        let registration = &*registration;
        let waker = registration.waker();
        let poll = Polling::new(&registration.entry);
        let result = if poll.begun.asked {
            poll_for_dump(&registration.entry, &poll.begun, waker, |waker| this.future.poll(&mut Context::from_waker(waker)))
        } else {
            this.future.poll(&mut Context::from_waker(waker))
        };
        drop(poll);
        if result.is_ready() {
            *this.registration = None;
        }
        result
    }
}

/// Removes the entry when the future ends, is cancelled, or has panicked and is dropped.
struct Registration {
    entry: Arc<Entry>,
    link: Option<(Arc<Link>, Waker)>,
}

impl Registration {
    /// The task's own waker. It stays the same as long as the one it is polled with does, so that futures which keep it need
    /// not register anew at every poll.
    fn link(&mut self, inner: &Waker) {
        let fits = self.link.as_ref().is_some_and(|(link, _)| link.inner.will_wake(inner));
        if !fits {
            let link = Arc::new(Link { entry: Arc::clone(&self.entry), inner: inner.clone() });
            self.entry.set_waker(Some(link.inner.clone()));
            self.link = Some((Arc::clone(&link), Waker::from(link)));
        }
    }

    fn waker(&self) -> &Waker {
        // There after the first poll began. Without it the task would be woken uncounted, which is no harm.
        self.link.as_ref().map_or(Waker::noop(), |(_, waker)| waker)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        REGISTRY.remove(&self.entry);
        self.entry.close();
    }
}

thread_local! {
    static HERE: Here = const { Here { depth: Cell::new(0), entered: Cell::new(None) } };
}

/// What this thread polls. Constant and without a destructor, so that the layer can always ask.
struct Here {
    /// Tracked futures that are being polled inside of each other.
    depth: Cell<u32>,
    /// The span that was entered last.
    entered: Cell<Option<Label>>,
}

/// Called by the layer after it entered a span.
#[inline]
pub(crate) fn entered() {
    HERE.with(|here| {
        if here.depth.get() > 0 {
            here.moved(true);
        }
    });
}

/// Called by the layer after it left a span.
#[inline]
pub(crate) fn exited() {
    HERE.with(|here| {
        if here.depth.get() > 0 {
            here.moved(false);
        }
    });
}

impl Here {
    fn moved(&self, into: bool) {
        let label = labels::current();
        if into {
            self.entered.set(label);
        }
        threads::with_current(|thread| thread.label.set(label));
    }
}

/// A poll; ends it also when the task panics.
struct Polling<'a> {
    entry: &'a Entry,
    begun: Begun,
}

impl<'a> Polling<'a> {
    #[inline]
    fn new(entry: &'a Entry) -> Self {
        HERE.with(|here| here.depth.set(here.depth.get() + 1));
        let label = labels::current();
        HERE.with(|here| here.entered.set(label));
        let begun = threads::with_current(|thread| {
            thread.label.set(label);
            entry.begin(Some(thread))
        });
        Self { entry, begun: begun.unwrap_or_else(|| entry.begin(None)) }
    }
}

impl Drop for Polling<'_> {
    #[inline]
    fn drop(&mut self) {
        HERE.with(|here| {
            here.depth.set(here.depth.get() - 1);
            self.entry.end(&self.begun, here.entered.get());
        });
    }
}

/// The dumps that a poll answers; counted off also when the task panics.
struct Asked(Vec<Arc<Round>>);

impl Drop for Asked {
    fn drop(&mut self) {
        for round in &self.0 {
            round.one_less();
        }
    }
}

#[cold]
#[inline(never)]
fn poll_for_dump<T>(
    entry: &Entry,
    begun: &Begun,
    waker: &Waker,
    poll: impl FnOnce(&Waker) -> Poll<T>,
) -> Poll<T> {
    let asked = Asked(entry.take_asked());
    // Without one the dump gave up in between.
    let Some(round) = asked.0.first() else { return poll(waker) };
    let captured = Mutex::new(Captured::default());
    let report = |stack: &[u64]| {
        // Only this thread reports, so nobody else holds it.
        captured.lock().unwrap_or_else(PoisonError::into_inner).add(stack, round, labels::current());
    };
    let result = sys::with_probe(waker, &report, poll);
    if result.is_pending() {
        let Captured { stacks, more, label } = captured.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answer = Arc::new(Answer { stacks, more, label, seen: entry.seen_at_end(begun) });
        for round in &asked.0 {
            round.answer(entry.id, Arc::clone(&answer));
        }
    }
    result
}
