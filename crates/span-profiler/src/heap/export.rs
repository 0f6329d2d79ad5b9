//! From the tables to a profile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::tables::{MAX_FRAMES, Place, Tables};
use crate::names;
use crate::profile::{Labels, Profile, Sample, ValueType};
use crate::sys::heap as sys;

/// Go's order.
const VALUE_TYPES: [ValueType; 4] = [
    ValueType { kind: "alloc_objects", unit: "count" },
    ValueType { kind: "alloc_space", unit: "bytes" },
    ValueType { kind: "inuse_objects", unit: "count" },
    ValueType { kind: "inuse_space", unit: "bytes" },
];

/// Functions of the allocator: pprof drops the outermost one that matches and all that it called. Only functions that call
/// nobody else's code may be here.
const ALLOCATOR: &str = r"_rjem_.*|(__rustc(\[[0-9a-f]+\])?::)?__(rust|rg|rdl)_(alloc|alloc_zeroed|realloc)|<?tikv_jemallocator::.*|<?alloc::alloc::.*|<?alloc::raw_vec::.*";

/// Places that are copied at once while allocating threads wait: 64 KiB at most, some microseconds. The buffer is small for
/// another reason too: it may itself be sampled.
const CHUNK: usize = 64;

pub(super) fn profile(interval: u64, start: SystemTime, duration: Duration) -> Profile {
    let mut samples = Vec::new();
    // Reserved before the lock is taken: under it nothing may be allocated.
    let mut places = Vec::with_capacity(CHUNK);
    let mut addresses = Vec::with_capacity(CHUNK * (MAX_FRAMES + 1));
    let mut next = 0;
    loop {
        let counts = sys::tables(|tables| tables.map(|tables| copy(tables, next, &mut places, &mut addresses)));
        if places.is_empty() {
            return finish(samples, counts, interval, start, duration);
        }
        next += places.len();
        let mut rest = addresses.as_slice();
        for (place, frames) in places.drain(..) {
            let (stack, later) = rest.split_at(frames);
            rest = later;
            samples.extend(sample(&place, stack));
        }
        addresses.clear();
    }
}

/// Copies some places from `next` on, and their stacks one after the other. Does not allocate.
fn copy(
    tables: &Tables,
    next: usize,
    places: &mut Vec<(Place, usize)>,
    addresses: &mut Vec<u64>,
) -> super::tables::Counts {
    for place in tables.places().iter().skip(next).take(CHUNK) {
        let stack = tables.stack(place);
        if addresses.len() + stack.len() > addresses.capacity() {
            break;
        }
        addresses.extend_from_slice(stack);
        places.push((*place, stack.len()));
    }
    tables.counts()
}

fn sample(place: &Place, stack: &[u64]) -> Option<Sample> {
    let values = [place.allocated.objects(), place.allocated.bytes(), place.in_use.objects(), place.in_use.bytes()];
    // `[other]` is there before anything is in it.
    (values != [0; 4]).then(|| Sample { stack: stack.into(), values: values.into(), labels: labels(place) })
}

fn labels(place: &Place) -> Labels {
    let names = [("local_root_span_name", place.names.root), ("span_name", place.names.leaf)];
    let known = names.into_iter().filter(|(_, name)| *name != names::NameId::default());
    known.map(|(key, name)| (key, Arc::clone(&names::text(name)))).collect()
}

fn finish(
    samples: Vec<Sample>,
    counts: Option<super::tables::Counts>,
    interval: u64,
    start: SystemTime,
    duration: Duration,
) -> Profile {
    let mut comments = Vec::new();
    let counts = counts.unwrap_or_default();
    if counts.live_full > 0 {
        let of = counts.live_full;
        comments.push(format!("memory in use of {of} samples is in [other]: too many samples were live"));
    }
    if counts.places_full + counts.addresses_full > 0 {
        let of = counts.places_full + counts.addresses_full;
        comments.push(format!("{of} samples are in [other]: too many distinct stacks"));
    }
    if let Ok(now) = sys::interval()
        && now != interval
    {
        comments.push(format!(
            "numbers are wrong: somebody changed the sampling interval from {interval} to {now} bytes (prof.reset)"
        ));
    }
    let period = i64::try_from(interval).unwrap_or(i64::MAX);
    Profile {
        value_types: VALUE_TYPES.to_vec(),
        default_value: VALUE_TYPES.len() - 1,
        period: Some((ValueType { kind: "space", unit: "bytes" }, period)),
        start,
        duration,
        samples,
        comments,
        drop_frames: Some(ALLOCATOR),
    }
}
