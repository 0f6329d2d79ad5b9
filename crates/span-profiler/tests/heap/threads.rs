//! Many threads at once, frees elsewhere, reallocations, signals in the midst of it, and the ends of threads. The bugs this
//! catches: deadlocks, and memory that is counted twice or never given back.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::thread;

use span_profiler::{MAX_HZ, Profiler, heap};

use crate::rig::{EXACT, in_process, sum_of};

const THREADS: usize = 8;
const STEPS: usize = 5_000;

#[inline(never)]
fn object(size: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(size))
}

#[inline(never)]
fn grow(mut object: Vec<u8>) -> Vec<u8> {
    object.reserve_exact(object.capacity() * 2);
    black_box(object)
}

/// What all threads of [`hammer`] allocate: objects and bytes of [`object`].
fn truth() -> [i64; 2] {
    let bytes: usize = (0..STEPS).map(|step| 1_024 << (step % 8)).sum();
    [(THREADS * STEPS) as i64, (THREADS * bytes) as i64]
}

/// Each thread allocates, lets every other object grow, and gives all of them to the next thread, which frees them.
fn hammer() {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| sync_channel::<Vec<u8>>(64)).unzip();
    let mut senders = senders.into_iter().cycle().skip(1);
    thread::scope(|scope| {
        for receiver in receivers {
            let sender = senders.next().unwrap();
            scope.spawn(move || {
                for step in 0..STEPS {
                    let object = object(1_024 << (step % 8));
                    let object = if step % 2 == 0 { object } else { grow(object) };
                    if let Err(full) = sender.try_send(object) {
                        drop(full);
                    }
                    while let Ok(object) = receiver.try_recv() {
                        drop(object);
                    }
                }
                drop(sender);
                receiver.into_iter().for_each(drop);
            });
        }
        // The cycle keeps clones, which would keep the channels open.
        drop(senders);
    });
}

#[test]
fn eight_threads_lose_no_object() {
    in_process("threads::eight_threads_lose_no_object", EXACT, || {
        let heap = heap::start().unwrap();
        hammer();
        let profile = heap.profile();
        let [objects, bytes, in_use, bytes_in_use] = sum_of(&profile, "threads::object");
        assert_eq!([objects, bytes], truth());
        assert_eq!([in_use, bytes_in_use], [0, 0]);
        let [grown, _, in_use, bytes_in_use] = sum_of(&profile, "threads::grow");
        assert_eq!([grown, in_use, bytes_in_use], [(THREADS * STEPS / 2) as i64, 0, 0]);
        assert_eq!(heap.stats().unknown_frees, 0);
    });
}

#[test]
fn cpu_samples_in_the_midst_of_it_do_no_harm() {
    in_process("threads::cpu_samples_in_the_midst_of_it_do_no_harm", EXACT, || {
        let heap = heap::start().unwrap();
        let (profiler, _guard) = Profiler::builder().with_recorder_hz(0).start().unwrap();
        let capture = profiler.capture(MAX_HZ).unwrap();
        hammer();
        let cpu = capture.finish();
        assert!(!cpu.samples.is_empty());
        let [objects, bytes, in_use, _] = sum_of(&heap.profile(), "threads::object");
        assert_eq!(([objects, bytes], in_use), (truth(), 0));
    });
}

/// Allocates and frees when its thread ends.
struct Last(#[expect(dead_code, reason = "is freed")] Vec<u8>);

impl Drop for Last {
    fn drop(&mut self) {
        drop(object(4_096));
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn ends_of_threads_leave_nothing_behind() {
    in_process("threads::ends_of_threads_leave_nothing_behind", EXACT, || {
        let heap = heap::start().unwrap();
        let survivors: Vec<_> = (0..200)
            .map(|_| {
                let thread = thread::spawn(|| {
                    LAST.set(Some(Last(object(2_048))));
                    object(1_024)
                });
                thread.join().unwrap()
            })
            .collect();
        let of_object = || sum_of(&heap.profile(), "threads::object");
        let [objects, _, in_use, bytes_in_use] = of_object();
        assert_eq!([in_use, bytes_in_use], [200, 200 * 1_024]);
        // Those that the ends of threads make are sampled or not, as far as jemalloc is still there for them.
        assert!((400..=600).contains(&objects), "{objects}");
        drop(survivors);
        assert_eq!(of_object()[2..], [0, 0]);
        assert_eq!(heap.stats().unknown_frees, 0);
    });
}
