//! A waker that tells where it is registered.
//!
//! A future that has to wait clones the waker of its context and keeps the clone. So the `clone` in the vtable of a waker runs
//! on the thread of the poll, at the await point, with all callers on the stack. A probe is such a waker: it reports the stack
//! and returns a clone of the ordinary waker. It differs from every other one for [`Waker::will_wake`], because its data is
//! a place on the stack of this poll, so that futures which keep a waker already register again.
//!
//! # Protocol
//! A [`Probe`] lives on the stack of [`with_probe`], and the waker made of it is only lent to the poll: nobody can keep it
//! without a clone, and a clone holds the ordinary waker and nothing of the probe. The lent waker may be used on other
//! threads while the poll lasts (it is `Sync`); they get their clones but report nothing, for their stacks are others.
#![expect(unsafe_code, reason = "a waker whose clones are of another kind needs its own vtable")]

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// Frames that one report can hold: above the depth of futures in real services, whose awaits take one to three frames each.
pub(crate) const MAX_FRAMES: usize = 128;

struct Probe<'a> {
    ordinary: &'a Waker,
    /// Gets the stack, and whether it goes on beyond it.
    report: &'a (dyn Fn(&[u64]) + Sync),
    thread: usize,
    /// The address of the frame that the stacks end at.
    limit: usize,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_nothing);

/// Calls `poll` with a probe in place of `ordinary`. `report` gets a stack for each await point that registers: addresses as
/// in [`crate::Sample::stack`], as far as the frame of this function.
#[inline(never)]
pub(crate) fn with_probe<R>(ordinary: &Waker, report: &(dyn Fn(&[u64]) + Sync), poll: impl FnOnce(&Waker) -> R) -> R {
    let probe = Probe { ordinary, report, thread: this_thread(), limit: super::frame_address() };
    let raw = RawWaker::new((&raw const probe).cast(), &VTABLE);
    // SAFETY: the vtable keeps the contract of `RawWakerVTable`: its functions may be called from any thread, because everything
    // in `Probe` is `Sync`; `clone` returns a waker that owns what it refers to; `drop` has nothing to free. The probe
    // outlives the waker, which was declared later and is only lent.
    let waker = unsafe { Waker::from_raw(raw) };
    poll(&waker)
}

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}

impl Probe<'_> {
    /// The one that a waker's data points to.
    ///
    /// # Safety
    /// `data` is that of the waker in [`with_probe`], which has not returned.
    unsafe fn of<'a>(data: *const ()) -> &'a Self {
        // SAFETY: the waker was made of a pointer to a probe that lives until `with_probe` returns; it is only read.
        unsafe { &*data.cast() }
    }
}

/// Reports the callers of the function that this is inlined into.
#[inline(always)]
fn report(probe: &Probe<'_>) {
    if this_thread() == probe.thread {
        let mut stack = [0; MAX_FRAMES];
        let depth = super::walk_below(probe.limit, &mut stack);
        (probe.report)(&stack[..depth]);
    }
}

#[inline(never)]
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called through a reference to the lent waker.
    let probe = unsafe { Probe::of(data) };
    report(probe);
    // What the raw waker refers to now belongs to the waker that the caller makes of it.
    let clone = ManuallyDrop::new(probe.ordinary.clone());
    RawWaker::new(clone.data(), clone.vtable())
}

/// Nobody owns the lent waker, so nobody can consume it; a waker has no right to panic, so it does what is meant.
unsafe fn wake(data: *const ()) {
    // SAFETY: called on the lent waker.
    unsafe { Probe::of(data) }.ordinary.wake_by_ref();
}

/// A future that wants to be polled again at once, such as a yield, waits here.
#[inline(never)]
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called through a reference to the lent waker.
    let probe = unsafe { Probe::of(data) };
    report(probe);
    probe.ordinary.wake_by_ref();
}

unsafe fn drop_nothing(_: *const ()) {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use super::*;

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn clones_are_ordinary_and_each_one_is_reported() {
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let ordinary = Waker::from(Arc::clone(&counter));
        let depths = Mutex::new(Vec::new());
        let report = |stack: &[u64]| depths.lock().unwrap().push(stack.len());
        let kept = with_probe(&ordinary, &report, |probe| {
            assert!(!probe.will_wake(&ordinary) && !ordinary.will_wake(probe));
            probe.wake_by_ref();
            probe.clone()
        });
        assert!(kept.will_wake(&ordinary));
        kept.wake();
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        let depths = depths.into_inner().unwrap();
        assert_eq!(depths.len(), 2);
        drop(ordinary);
        assert_eq!(Arc::strong_count(&counter), 1, "every clone was counted");
    }

    #[test]
    fn another_thread_gets_a_clone_and_reports_nothing() {
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let ordinary = Waker::from(Arc::clone(&counter));
        let reports = AtomicUsize::new(0);
        let report = |_: &[u64]| {
            reports.fetch_add(1, Ordering::Relaxed);
        };
        with_probe(&ordinary, &report, |probe| {
            #[expect(clippy::waker_clone_wake, reason = "the clone is what is tested")]
            std::thread::scope(|scope| scope.spawn(|| probe.clone().wake()).join().unwrap());
        });
        assert_eq!((reports.into_inner(), counter.0.load(Ordering::Relaxed)), (0, 1));
    }
}
