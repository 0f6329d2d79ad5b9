//! What an allocation costs with heap profiling off, ready and on.
//!
//! `cargo bench -p span-profiler --features heap-conf --bench heap`
//!
//! Measured with rustc 1.95.0 on 2 shared and busy virtual cores (x86-64): CPU time of one thread, objects of 256 bytes, stacks
//! of 40 frames, 15 alternating runs of each.
//!
//! | | ns per allocation and free | quartiles |
//! |---|---|---|
//! | baseline: prof:false | 16.9 | [14.6, 17.8] |
//! | ready: prof:true, not started | 18.5 | [16.2, 19.9] |
//! | on, one sample in 512 KiB (default) | 20.3 | [17.0, 21.6] |
//! | on, one sample in 128 KiB | 25.9 | [21.4, 28.7] |
//! | on, one sample in 16 KiB | 83.2 | [76.8, 86.6] |
//!
//! So a sample costs 4 µs with its free: the last row has one in 64 objects. Most of that is jemalloc's, which gives each sampled
//! object pages of its own and looks its stack up.
use std::hint::black_box;
use std::process::Command;

use span_profiler::heap;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes of an object: one in 2,048 is sampled at the default interval.
const SIZE: usize = 256;
/// Alternating runs of each configuration; the median counts.
const ROUNDS: usize = 15;
const OBJECTS: u32 = 4_000_000;
const WARM_UP: u32 = 200_000;

/// A name, jemalloc's settings, and whether profiling is started.
const CONFIGURATIONS: [(&str, &str, bool); 5] = [
    ("baseline: prof:false", "prof:false", false),
    ("ready: prof:true, not started", "", false),
    ("on, one sample in 512 KiB (default)", "", true),
    ("on, one sample in 128 KiB", "lg_prof_sample:17", true),
    ("on, one sample in 16 KiB", "lg_prof_sample:14", true),
];

/// So that a sample has a stack of a usual depth.
#[inline(never)]
fn deep(depth: u32, objects: u32) {
    if depth > 0 {
        deep(black_box(depth - 1), objects);
    } else {
        for _ in 0..objects {
            drop(black_box(Vec::<u8>::with_capacity(SIZE)));
        }
    }
    black_box(());
}

/// CPU time of this thread in nanoseconds: other programs of the machine do not count.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split_whitespace().next().and_then(|time| time.parse().ok()).expect("it begins with a number")
}

/// Prints nanoseconds for each allocation and free.
fn run(start: bool) {
    const DEPTH: u32 = 30;
    let _heap = start.then(|| heap::start().expect("jemalloc is the global allocator and configured"));
    deep(DEPTH, WARM_UP);
    let before = cpu_time();
    deep(DEPTH, OBJECTS);
    println!("{}", (cpu_time() - before) / f64::from(OBJECTS));
}

fn main() {
    let program = std::env::args().next().unwrap_or_default();
    match std::env::args().nth(1).as_deref() {
        Some("run") => return run(false),
        Some("run-started") => return run(true),
        _ => {}
    }
    let mut measured = [const { Vec::new() }; CONFIGURATIONS.len()];
    // Each in a process of its own: jemalloc reads its settings once. They alternate, because the machine's speed changes.
    for _ in 0..ROUNDS {
        for ((_, conf, start), measured) in CONFIGURATIONS.iter().zip(&mut measured) {
            let mode = if *start { "run-started" } else { "run" };
            let output = Command::new(&program).arg(mode).env("_RJEM_MALLOC_CONF", conf).output();
            let output = output.expect("the bench can start itself");
            let text = String::from_utf8_lossy(&output.stdout);
            measured.push(text.trim().parse::<f64>().expect("the bench prints a number"));
        }
    }
    println!("| | ns per allocation and free | quartiles |\n|---|---|---|");
    for ((name, ..), mut measured) in CONFIGURATIONS.iter().zip(measured) {
        measured.sort_by(f64::total_cmp);
        let at = |quarter: usize| measured[(measured.len() - 1) * quarter / 4];
        println!("| {name} | {:.1} | [{:.1}, {:.1}] |", at(2), at(1), at(3));
    }
}
