//! The unit tests' allocator is the system's, so what jemalloc does here is what these tests ask it for, by its C functions.
#![expect(unsafe_code, reason = "allocates and forks")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests; sizes are small")]

use std::ffi::c_void;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tikv_jemalloc_sys as jemalloc;

use super::hooks;
use super::*;
use crate::heap::tables::{Counts, Limits, MAX_FRAMES};
use crate::heap::{Unwinder, find_unwinder};
use crate::profile::Profile;

/// Hooks and tables are the process's.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sampling that stops when the test ends.
struct On;

impl On {
    fn new(limits: Limits) -> Self {
        install(interval().unwrap(), limits).unwrap();
        set_active(true).unwrap();
        Self
    }
}

impl Drop for On {
    fn drop(&mut self) {
        set_active(false).unwrap();
        uninstall().unwrap();
    }
}

fn counts() -> Counts {
    tables(|tables| tables.map(|tables| tables.counts())).unwrap()
}

/// Bytes in use, of all places.
fn in_use() -> i64 {
    tables(|tables| tables.map(|tables| tables.places().iter().map(|place| place.in_use.bytes()).sum())).unwrap()
}

/// Certainly sampled: e^-40 not to be.
const LARGE: usize = 40 << 19;

#[inline(never)]
fn malloc(size: usize) -> *mut c_void {
    // SAFETY: any size may be asked for; freed by the caller.
    black_box(unsafe { jemalloc::mallocx(size, 0) })
}

fn free(pointer: *mut c_void) {
    // SAFETY: called once for each pointer of `malloc`.
    unsafe { jemalloc::dallocx(pointer, 0) };
}

#[inline(never)]
fn allocate(size: u64) {
    free(malloc(size as usize));
}

#[test]
fn the_configuration_is_read_from_the_exported_symbol() {
    let facts = facts().unwrap();
    let active = facts.active;
    assert_eq!(facts, Facts { global: false, built: true, enabled: true, active, foreign: false, lg_interval: 19 });
    assert_eq!(interval().unwrap(), 524_288);
}

#[test]
fn a_sample_has_its_function_and_goes_when_it_is_freed() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    assert_eq!(find_unwinder(allocate, 1 << 19).unwrap(), Unwinder::FramePointers);
    assert_eq!(counts(), Counts { places: 1, addresses: 1, ..Counts::default() }, "the probe leaves no trace");
    let pointer = malloc(LARGE);
    let from = malloc as *const () as u64;
    let seen = tables(|tables| {
        let tables = tables.unwrap();
        let place = tables.places()[1];
        (tables.stack(&place).iter().any(|address| (from..from + 4_096).contains(address)), place.in_use.bytes())
    });
    assert_eq!(seen, (true, LARGE as i64));
    assert_eq!(counts().live, 1);
    free(pointer);
    assert_eq!((counts().live, in_use(), counts().unknown_frees), (0, 0, 0));
}

/// Both kinds of reallocation tell of the new sample before the old one is gone.
#[test]
fn reallocations_count_once() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    let pointer = malloc(LARGE);
    for size in [LARGE * 2, LARGE, LARGE * 3] {
        // SAFETY: the pointer is alive and stays so.
        let usable = unsafe { jemalloc::xallocx(pointer, size, 0, 0) };
        assert_eq!((counts().live, in_use()), (1, usable as i64));
    }
    // SAFETY: the pointer is alive, and replaced by the result.
    let pointer = unsafe { jemalloc::rallocx(pointer, LARGE * 8, 0) };
    assert_eq!((counts().live, in_use()), (1, LARGE as i64 * 8));
    free(pointer);
    assert_eq!((counts().live, in_use(), counts().unknown_frees), (0, 0, 0));
}

unsafe extern "C" fn walks_nothing(_: *mut *mut c_void, len: *mut std::ffi::c_uint, _: std::ffi::c_uint) {
    // SAFETY: the length of jemalloc's record.
    unsafe { *len = 0 };
}

/// As if the program had been built without frame pointers.
#[test]
fn without_frame_pointers_jemalloc_walks() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    hooks::write_backtrace(walks_nothing).unwrap();
    assert_eq!(find_unwinder(allocate, 1 << 19).unwrap(), Unwinder::Jemalloc);
    assert_eq!(probe(allocate, LARGE as u64), Probe::Seen);
}

#[test]
fn a_thread_that_is_not_sampled_is_told_so() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    set_active(false).unwrap();
    let error = find_unwinder(allocate, 1 << 19).unwrap_err();
    assert!(error.to_string().contains("prof_thread_active_init"), "{error}");
}

#[test]
fn hooks_of_others_are_recognised() {
    let _alone = alone();
    assert!(!facts().unwrap().foreign);
    let on = On::new(Limits::default());
    assert!(!facts().unwrap().foreign, "ours");
    drop(on);
    hooks::write_foreign(true).unwrap();
    assert!(facts().unwrap().foreign);
    hooks::write_foreign(false).unwrap();
}

#[inline(never)]
fn deep(depth: usize) -> *mut c_void {
    black_box(if depth == 0 { malloc(LARGE) } else { deep(depth - 1) })
}

#[test]
fn a_deep_stack_is_cut_and_says_so() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    let pointer = deep(500);
    let (frames, last) = tables(|tables| {
        let tables = tables.unwrap();
        let stack = tables.stack(&tables.places()[1]);
        (stack.len(), stack.last().copied())
    });
    assert_eq!((frames, last), (MAX_FRAMES + 1, Some(Profile::TRUNCATED)));
    free(pointer);
}

#[test]
fn overflowing_tables_keep_their_totals() {
    let _alone = alone();
    let _on = On::new(Limits { live: 4, places: 2, addresses: 1_000 });
    let pointers: Vec<_> = (0..10).map(|depth| deep(depth).expose_provenance()).collect();
    assert_eq!(in_use(), 10 * LARGE as i64);
    assert!(counts().live_full == 6 && counts().places_full >= 8, "{:?}", counts());
    for pointer in pointers {
        free(std::ptr::with_exposed_provenance_mut(pointer));
    }
    assert_eq!((in_use(), counts().unknown_frees), (0, 0));
}

/// Allocates and frees, so that a sample is taken at nearly every step.
fn hammer(steps: usize) {
    for step in 0..steps {
        let pointer = malloc(4_096 + (step % 7) * 100_000);
        // SAFETY: alive, and replaced by the result.
        free(unsafe { jemalloc::rallocx(pointer, 1 << 20, 0) });
    }
}

/// A child that inherits a lock which another thread held would wait forever.
#[test]
fn a_child_of_a_fork_can_allocate() {
    let _alone = alone();
    let _on = On::new(Limits::default());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also if the test fails.
        let _ends = Ends(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    hammer(100);
                }
            });
        }
        for _ in 0..200 {
            // SAFETY: the child calls nothing but jemalloc, which allows it, and _exit.
            let child = unsafe { libc::fork() };
            if child == 0 {
                hammer(10);
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(0) };
            }
            assert!(child > 0);
            assert_eq!(wait(child, Duration::from_secs(30)), Some(0));
        }
    });
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The exit status, unless it takes too long.
fn wait(child: i32, limit: Duration) -> Option<i32> {
    let start = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: waits for a child of this process and writes its status.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if start.elapsed() < limit => thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: the child is this test's own.
                unsafe { libc::kill(child, libc::SIGKILL) };
                return None;
            }
            _ => return Some(status),
        }
    }
}
