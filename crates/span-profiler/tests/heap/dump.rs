//! jemalloc keeps counts of its own for the samples it tells us of, and writes them with `prof.dump`. The bugs this
//! catches: samples or frees that the hooks do not see, stacks that are not the same, weights that are not jeprof's.

use std::collections::HashMap;
use std::hint::black_box;

use span_profiler::{Profile, heap};

use crate::rig::{Names, in_process};

const FUNCTIONS: [&str; 3] = ["dump::small", "dump::large", "dump::growing"];

// All sizes are size classes. For others jemalloc 5.3.1 counts too much in its dump: it allocates whole pages above 32 KiB
// but weighs the size class above (`prof_unbias_map_init` says so), which made one stack 3 % heavier.

/// Objects and bytes in use, objects and bytes allocated, as jemalloc writes them.
type Counts = [f64; 4];

#[inline(never)]
fn small(kept: &mut Vec<Vec<u8>>) {
    for step in 0..40_000_usize {
        let object = black_box(Vec::with_capacity(16 << (step % 6)));
        if step % 3 == 0 {
            kept.push(object);
        }
    }
}

#[inline(never)]
fn large(kept: &mut Vec<Vec<u8>>) {
    for step in 0..4_000_usize {
        let object = black_box(Vec::with_capacity((5 + step % 4) << (10 + step % 3)));
        if step % 5 == 0 {
            kept.push(object);
        }
    }
}

#[inline(never)]
fn growing(kept: &mut Vec<Vec<u8>>) {
    for _ in 0..400 {
        let mut object = Vec::with_capacity(1_024);
        while object.capacity() < 100_000 {
            // The length is zero: this doubles the capacity.
            object.reserve_exact(object.capacity() * 2);
            black_box(&mut object);
        }
        kept.push(object);
    }
}

#[test]
fn totals_and_stacks_are_those_of_jemallocs_own_dump() {
    in_process("dump::totals_and_stacks_are_those_of_jemallocs_own_dump", "lg_prof_sample:13,prof_accum:true", || {
        let heap = heap::start().unwrap();
        let mut kept = Vec::with_capacity(100_000);
        std::thread::scope(|scope| {
            scope.spawn(|| small(&mut Vec::new()));
            scope.spawn(|| growing(&mut Vec::new()));
        });
        small(&mut kept);
        large(&mut kept);
        growing(&mut kept);

        let (ours, theirs) = (heap.profile(), dump());
        let names = Names::default();
        let is_work = |stack: &Vec<u64>| FUNCTIONS.iter().any(|function| names.passes(stack, function));
        let (mut ours, mut theirs) = (by_stack(&ours), parse(&theirs));
        ours.retain(|stack, _| is_work(stack));
        theirs.retain(|stack, _| is_work(stack));
        assert!(theirs.len() >= FUNCTIONS.len(), "{theirs:x?}");
        let total = |of: &HashMap<Vec<u64>, Counts>| {
            of.values().fold([0.0; 4], |sum: Counts, counts| std::array::from_fn(|value| sum[value] + counts[value]))
        };
        // The dump has whole numbers before it is scaled, and 512 stand for one object of 16 bytes.
        for (value, (ours, theirs)) in total(&ours).into_iter().zip(total(&theirs)).enumerate() {
            assert!(theirs > 1_000.0 && (ours - theirs).abs() <= theirs * 0.01, "{value}: {ours} and {theirs}");
        }
        let mut compared = 0;
        for (stack, theirs) in &theirs {
            let ours = ours.get(stack).unwrap_or_else(|| panic!("{stack:x?} is missing"));
            for (ours, theirs) in ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 100_000.0) {
                assert!((ours - theirs).abs() <= theirs * 0.01, "{ours} and {theirs}: {stack:x?}");
                compared += 1;
            }
        }
        assert!(compared >= 8, "{compared}");
        assert_eq!(heap.stats().unknown_frees, 0);
    });
}

fn by_stack(profile: &Profile) -> HashMap<Vec<u64>, Counts> {
    let mut stacks: HashMap<Vec<u64>, Counts> = HashMap::new();
    for sample in &profile.samples {
        // The dump has return addresses, and no mark for what is missing.
        let stack = sample.stack.iter().filter(|address| **address != Profile::TRUNCATED).map(|address| address + 1);
        let sum = stacks.entry(stack.collect()).or_default();
        for (sum, value) in sum.iter_mut().zip([2, 3, 0, 1]) {
            *sum += sample.values[value] as f64;
        }
    }
    stacks
}

/// Reads what `jeprof` reads: `@ <addresses>`, then `t*: <objects>: <bytes> [<objects>: <bytes>]`, and scales it as it does.
fn parse(text: &str) -> HashMap<Vec<u64>, Counts> {
    let interval: f64 = text.lines().next().unwrap().strip_prefix("heap_v2/").unwrap().parse().unwrap();
    let mut stacks = HashMap::new();
    let mut stack = None;
    for line in text.lines().take_while(|line| !line.starts_with("MAPPED_LIBRARIES")) {
        if let Some(addresses) = line.strip_prefix("@ ") {
            let parse = |address: &str| u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
            stack = Some(addresses.split_whitespace().map(parse).collect::<Vec<_>>());
        } else if let (Some(counts), Some(stack)) = (line.trim().strip_prefix("t*:"), stack.take()) {
            let numbers: Vec<f64> = counts
                .split(|byte: char| !byte.is_ascii_digit())
                .filter(|number| !number.is_empty())
                .map(|number| number.parse().unwrap())
                .collect();
            let [objects, bytes, all_objects, all_bytes] = numbers.try_into().unwrap();
            let scale = |objects: f64, bytes: f64| {
                if objects == 0.0 { 0.0 } else { 1.0 / (1.0 - (-(bytes / objects) / interval).exp()) }
            };
            let (now, all) = (scale(objects, bytes), scale(all_objects, all_bytes));
            stacks.insert(stack, [objects * now, bytes * now, all_objects * all, all_bytes * all]);
        }
    }
    stacks
}

/// What jemalloc writes.
#[expect(unsafe_code, reason = "asks jemalloc for its dump")]
fn dump() -> String {
    let path = std::env::temp_dir().join(format!("span-profiler-{}.heap", std::process::id()));
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let mut name = name.as_ptr();
    // SAFETY: the value of `prof.dump` is a pointer to the name of a file, which lives until the call returns.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"prof.dump".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut name).cast(),
            size_of_val(&name),
        )
    };
    assert_eq!(code, 0);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text
}
