//! Configuration, start and stop, and what jemalloc says of itself.

use std::hint::black_box;

use span_profiler::heap::{self, AllocatorStats, HeapError, Totals, Unwinder};

use crate::rig::{EXACT, in_process, sum_of};

#[inline(never)]
fn object(size: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(size))
}

#[test]
fn the_configuration_of_the_feature_is_in_force() {
    in_process("process::the_configuration_of_the_feature_is_in_force", "", || {
        drop(object(64 << 20));
        let heap = heap::start().unwrap();
        let stats = heap.stats();
        assert_eq!((stats.interval, stats.unwinder), (524_288, Unwinder::FramePointers));
        assert_eq!(stats.samples, 0, "not active before the start");
        drop(object(64 << 20));
        let profile = heap.profile();
        assert_eq!(sum_of(&profile, "process::object"), [1, 64 << 20, 0, 0]);
        assert_eq!(profile.period.map(|(of, bytes)| (of.kind, of.unit, bytes)), Some(("space", "bytes", 524_288)));
        let kinds: Vec<_> = profile.value_types.iter().map(|of| (of.kind, of.unit)).collect();
        let go = [
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ];
        assert_eq!((kinds.as_slice(), profile.default_value), (&go[..], 3));
    });
}

#[test]
fn a_program_that_was_started_without_profiling_is_told() {
    in_process("process::a_program_that_was_started_without_profiling_is_told", "prof:false", || {
        assert_eq!(heap::start().unwrap_err(), HeapError::Off);
        AllocatorStats::read().unwrap();
    });
}

#[test]
fn an_interval_that_is_too_large_is_refused() {
    in_process("process::an_interval_that_is_too_large_is_refused", "lg_prof_sample:30", || {
        assert_eq!(heap::start().unwrap_err(), HeapError::Interval { lg: 30, max: 24 });
    });
}

#[test]
fn threads_that_jemalloc_does_not_sample_are_told() {
    in_process("process::threads_that_jemalloc_does_not_sample_are_told", "prof_thread_active_init:false", || {
        let error = heap::start().unwrap_err();
        assert!(matches!(error, HeapError::NotSampling { .. }), "{error}");
    });
}

#[test]
fn memory_in_use_is_followed_while_sampling_is_stopped() {
    in_process("process::memory_in_use_is_followed_while_sampling_is_stopped", EXACT, || {
        let heap = heap::start().unwrap();
        assert_eq!(heap::start().unwrap_err(), HeapError::AlreadyStarted);
        let [first, second] = [object(1_024), object(2_048)];
        let clone = heap.clone();
        drop(heap);
        assert_eq!(heap::start().unwrap_err(), HeapError::AlreadyStarted, "a clone is left");
        drop(clone);
        let unseen = object(4_096);
        drop(first);
        let heap = heap::start().unwrap();
        let third = object(8_192);
        let seen = sum_of(&heap.profile(), "process::object");
        assert_eq!(seen, [3, 1_024 + 2_048 + 8_192, 2, 2_048 + 8_192]);
        drop((second, third, unseen));
        assert_eq!(sum_of(&heap.profile(), "process::object")[2..], [0, 0]);
        assert_eq!(heap.stats().unknown_frees, 0);
    });
}

#[test]
fn statistics_follow_the_program_and_a_purge_gives_memory_back() {
    in_process("process::statistics_follow_the_program_and_a_purge_gives_memory_back", "", || {
        const BYTES: u64 = 64 << 20;
        let before = AllocatorStats::read().unwrap();
        // In objects that are not given back one by one, and touched, so that they are resident.
        let memory: Vec<Vec<u8>> = (0..BYTES / 65_536).map(|_| black_box(vec![1; 65_536])).collect();
        let full = AllocatorStats::read().unwrap();
        assert!(full.allocated >= before.allocated + BYTES, "{full:?}");
        assert!(
            full.active >= full.allocated && full.resident >= full.active && full.mapped >= full.active,
            "{full:?}"
        );
        drop(memory);
        let freed = AllocatorStats::read().unwrap();
        assert!(freed.allocated < before.allocated + (BYTES >> 4), "{freed:?}");
        heap::purge().unwrap();
        let purged = AllocatorStats::read().unwrap();
        assert!(purged.resident + BYTES * 3 / 4 < full.resident, "{purged:?} {full:?}");
    });
}

#[test]
fn allocations_are_counted_also_when_they_are_freed_and_so_are_purges() {
    in_process("process::allocations_are_counted_also_when_they_are_freed_and_so_are_purges", EXACT, || {
        const BYTES: u64 = 64 << 20;
        let _heap = heap::start().unwrap();
        // Small ones come from a thread's cache, large ones do not.
        for size in [1_024, 1 << 20] {
            let before = Totals::read().unwrap();
            for _ in 0..BYTES / size {
                drop(black_box(Vec::<u8>::with_capacity(usize::try_from(size).unwrap())));
            }
            let after = Totals::read().unwrap();
            let counted = after.bytes - before.bytes;
            assert!((BYTES * 9 / 10..BYTES * 11 / 10).contains(&counted), "{size}: {counted}");
        }
        drop(black_box(vec![1_u8; 64 << 20]));
        let before = AllocatorStats::read().unwrap();
        heap::purge().unwrap();
        assert!(AllocatorStats::read().unwrap().purges > before.purges);
    });
}
