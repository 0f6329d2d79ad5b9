//! What an allocation costs with heap profiling off, ready and on.
//!
//! `cargo bench -p span-profiler --features heap-conf --bench heap`
//!
//! FIGURES
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

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

/// Prints nanoseconds for each allocation and free.
fn run(start: bool) {
    const DEPTH: u32 = 30;
    let _heap = start.then(|| heap::start().expect("jemalloc is the global allocator and configured"));
    deep(DEPTH, WARM_UP);
    let before = Instant::now();
    deep(DEPTH, OBJECTS);
    println!("{}", before.elapsed().as_nanos() as f64 / f64::from(OBJECTS));
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
