//! Full tables. The bugs this catches: totals that are wrong once something did not fit, and memory that grows.

use std::hint::black_box;

use span_profiler::{Profile, Sample, heap};

use crate::rig::{EXACT, Names, in_process, sum, sum_of};

const SIZE: usize = 64;

/// As many different stacks as `path` has values: each bit is a call from another place.
#[inline(never)]
fn branch(path: u32, depth: u32) -> Vec<u8> {
    match (depth, path & 1) {
        (0, _) => black_box(Vec::with_capacity(SIZE)),
        (_, 0) => black_box(branch(path >> 1, depth - 1)),
        (_, _) => black_box(branch(path >> 1, depth - 1)),
    }
}

fn is_other(sample: &Sample) -> bool {
    *sample.stack == [Profile::OTHER]
}

/// Of [`branch`], or of anybody under `[other]`.
fn ours(profile: &Profile) -> [i64; 4] {
    let names = Names::default();
    sum(profile, |sample| is_other(sample) || names.passes(&sample.stack, BRANCH))
}

const BRANCH: &str = "limits::branch";

#[test]
fn more_stacks_than_fit_share_one_entry() {
    in_process("limits::more_stacks_than_fit_share_one_entry", EXACT, || {
        const STACKS: u32 = 20_000;
        let heap = heap::start().unwrap();
        let before = heap.stats();
        (0..STACKS).for_each(|path| drop(branch(path, 15)));
        let stats = heap.stats();
        assert_eq!((stats.places, stats.table_bytes), (16_384, before.table_bytes));
        assert!(stats.other_places > 3_000, "{stats:?}");
        let profile = heap.profile();
        let [objects, bytes, in_use, _] = ours(&profile);
        let [mine, ..] = sum_of(&profile, BRANCH);
        assert!(mine > 10_000 && mine < i64::from(STACKS), "{mine}");
        // Other stacks of this process may share the entry.
        assert!((i64::from(STACKS)..i64::from(STACKS) + 500).contains(&objects), "{objects}");
        assert!(bytes >= i64::from(STACKS) * SIZE as i64, "{bytes}");
        assert!(in_use < 500, "{in_use}");
        assert!(profile.comments.iter().any(|comment| comment.contains("too many distinct stacks")), "{profile:?}");
    });
}

#[test]
fn more_live_samples_than_fit_stay_counted_in_use() {
    in_process("limits::more_live_samples_than_fit_stay_counted_in_use", EXACT, || {
        const OBJECTS: i64 = 70_000;
        let heap = heap::start().unwrap();
        let mut kept = Vec::with_capacity(OBJECTS as usize);
        (0..OBJECTS).for_each(|_| kept.push(branch(0, 0)));
        let stats = heap.stats();
        assert_eq!(stats.live, 65_536);
        assert!(stats.other_live >= 70_000 - 65_536, "{stats:?}");
        let profile = heap.profile();
        let [_, _, objects, bytes] = ours(&profile);
        assert!((OBJECTS..OBJECTS + 500).contains(&objects), "{objects}");
        assert!(bytes >= OBJECTS * SIZE as i64, "{bytes}");
        assert!(profile.comments.iter().any(|comment| comment.contains("too many samples were live")), "{profile:?}");
        drop(kept);
        let [_, _, objects, _] = ours(&heap.profile());
        assert!((0..500).contains(&objects), "{objects}");
    });
}
