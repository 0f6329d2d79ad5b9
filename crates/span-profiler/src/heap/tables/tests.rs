use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const INTERVAL: u64 = 4_096;

fn small(live: usize, places: usize, addresses: usize) -> Tables {
    Tables::new(INTERVAL, Limits { live, places, addresses })
}

/// Objects and bytes allocated, objects and bytes in use, of all places.
fn totals(tables: &Tables) -> [i64; 4] {
    let mut allocated = Amount::default();
    let mut in_use = Amount::default();
    for place in tables.places() {
        allocated += place.allocated;
        in_use += place.in_use;
    }
    let [all, freed] = tables.totals();
    let mut left = all;
    left -= freed;
    assert_eq!((all, left), (allocated, in_use), "the running totals are those of all places");
    [allocated.objects(), allocated.bytes(), in_use.objects(), in_use.bytes()]
}

fn expected(sizes: impl IntoIterator<Item = u64>) -> [i64; 2] {
    let mut sum = Amount::default();
    for size in sizes {
        sum += Weigher::new(INTERVAL).weigh(size);
    }
    [sum.objects(), sum.bytes()]
}

fn names(leaf: u32) -> Names {
    Names { leaf: NameId(leaf), root: NameId(1) }
}

#[test]
fn a_reallocation_in_place_counts_the_new_size_only() {
    let mut tables = small(8, 8, 64);
    tables.sample(0x1000, 100, &[7], names(1));
    // jemalloc tells of the new one first.
    tables.sample(0x1000, 200, &[8], names(1));
    tables.free(0x1000, 100);
    assert_eq!(totals(&tables)[2..], expected([200]));
    assert_eq!(tables.places()[1].in_use, Amount::default());
    tables.free(0x1000, 200);
    assert_eq!(totals(&tables)[2..], [0, 0]);
    assert_eq!(tables.counts().unknown_frees, 0);
}

/// The old memory of a moving reallocation is free, and sampled for another thread, before its own free is told.
#[test]
fn a_late_free_takes_the_older_sample_of_equal_ones() {
    let mut tables = small(8, 8, 64);
    tables.sample(0x1000, 100, &[7], names(1));
    tables.sample(0x1000, 100, &[8], names(1));
    tables.free(0x1000, 100);
    assert_eq!(tables.places()[1].in_use, Amount::default());
    assert_ne!(tables.places()[2].in_use, Amount::default());
}

#[test]
fn stacks_and_names_are_told_apart() {
    let mut tables = small(64, 16, 64);
    for (pointer, stack, leaf) in [(1, &[7][..], 1), (2, &[7], 2), (3, &[7, 8], 1), (4, &[7], 1), (5, &[], 1)] {
        tables.sample(pointer, 64, stack, names(leaf));
    }
    let seen: Vec<_> = tables.places().iter().skip(1).map(|place| (tables.stack(place), place.names.leaf.0)).collect();
    assert_eq!(seen, [(&[7][..], 1), (&[7], 2), (&[7, 8], 1), (&[], 1)]);
}

#[test]
fn too_many_live_samples_are_counted_under_other_and_leave_it_again() {
    let mut tables = small(4, 8, 64);
    for pointer in 1..=10 {
        tables.sample(pointer << 12, 64, &[7], names(1));
    }
    assert_eq!(totals(&tables)[2..], expected([64; 10]));
    assert_eq!(tables.counts().live_full, 6);
    let [objects, bytes] = expected([64; 6]);
    let other = tables.places()[OTHER as usize].in_use;
    assert_eq!([other.objects(), other.bytes()], [objects, bytes]);
    for pointer in 1..=10 {
        tables.free(pointer << 12, 64);
    }
    assert_eq!(totals(&tables)[2..], [0, 0]);
    assert_eq!(totals(&tables)[..2], expected([64; 10]), "what was allocated stays");
    assert_eq!(tables.counts().unknown_frees, 0);
    tables.free(1 << 12, 64);
    assert_eq!(tables.counts().unknown_frees, 1);
}

#[test]
fn too_many_places_and_too_long_stacks_are_counted_under_other() {
    let mut tables = small(64, 4, 1_000);
    for stack in 1..=10 {
        tables.sample(stack << 12, 64, &[stack], names(1));
    }
    assert_eq!(tables.counts().places_full, 7);
    assert_eq!(totals(&tables), [expected([64; 10]), expected([64; 10])].concat()[..]);

    let mut tables = small(64, 100, 10);
    for stack in 1..=10 {
        tables.sample(stack << 12, 64, &[stack, 2, 3], names(1));
    }
    assert_eq!(tables.counts().addresses_full, 7);
    assert_eq!(totals(&tables), [expected([64; 10]), expected([64; 10])].concat()[..]);
}

#[test]
fn nothing_grows_beyond_what_was_reserved() {
    let mut tables = small(100, 50, 200);
    let bytes = tables.bytes();
    for n in 1..=1_000_u64 {
        tables.sample(n << 12, 64, &[n, n + 1, n + 2], names(1));
    }
    assert_eq!(tables.bytes(), bytes);
    let counts = tables.counts();
    assert!(counts.live <= 100 && counts.places <= 50 && counts.addresses <= 200, "{counts:?}");
}

#[test]
fn the_default_tables_reserve_what_is_documented() {
    let bytes = Tables::new(524_288, Limits::default()).bytes();
    assert!(bytes <= 13 << 20, "{bytes}");
}

#[derive(Debug, Clone)]
enum Step {
    Sample { pointer: u64, size: u64, stack: u64 },
    Free(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_u64..40, 1_u64..4, 1_u64..12).prop_map(|(pointer, size, stack)| Step::Sample {
            pointer: pointer << 12,
            size: size * 100,
            stack
        }),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::Free(index.index(1_000))),
    ]
}

proptest! {
    /// Against a list: any order of samples and frees, reused addresses included, in tables that overflow and in such
    /// that do not.
    #[test]
    fn totals_are_right_after_any_history(steps in prop::collection::vec(step(), 0..400), live in 1_usize..120, places in 2_usize..20) {
        let mut tables = small(live, places, 1_000);
        let mut model: Vec<(u64, u64, u64)> = Vec::new();
        let mut allocated = Vec::new();
        for step in steps {
            match step {
                Step::Sample { pointer, size, stack } => {
                    tables.sample(pointer, size, &[stack], names(1));
                    model.push((pointer, size, stack));
                    allocated.push(size);
                }
                Step::Free(index) if !model.is_empty() => {
                    let (pointer, size, _) = model[index % model.len()];
                    tables.free(pointer, size);
                    let oldest = model.iter().position(|(p, s, _)| (*p, *s) == (pointer, size)).unwrap();
                    model.remove(oldest);
                }
                Step::Free(_) => {}
            }
        }
        let in_use = expected(model.iter().map(|(_, size, _)| *size));
        let counts = tables.counts();
        prop_assert_eq!(counts.unknown_frees, 0);
        prop_assert_eq!(&totals(&tables)[..2], &expected(allocated)[..]);
        prop_assert_eq!(&totals(&tables)[2..], &in_use[..]);
        if counts.live_full + counts.places_full == 0 {
            let mut by_stack: HashMap<u64, Vec<u64>> = HashMap::new();
            for (_, size, stack) in &model {
                by_stack.entry(*stack).or_default().push(*size);
            }
            for place in tables.places().iter().skip(1) {
                let sizes = by_stack.remove(&tables.stack(place)[0]).unwrap_or_default();
                prop_assert_eq!([place.in_use.objects(), place.in_use.bytes()], expected(sizes));
            }
            prop_assert!(by_stack.is_empty());
        }
    }
}
