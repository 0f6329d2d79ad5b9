//! Catches profiles that Go's pprof refuses, or adds up in another way than we do: it reads random ones.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::profile::tests::{NAMES, profile, sample, samples, symbolized};
use crate::profile::{Profile, Sample, Symbolized};

/// How many random profiles are read; each costs pprof some 50 ms.
const PROFILES: usize = 40;
/// Without them, pprof leaves small functions out.
const ALL: [&str; 3] = ["-nodecount=0", "-nodefraction=0", "-edgefraction=0"];

#[expect(clippy::disallowed_methods, reason = "where a foreign program is can only be told from outside")]
fn go() -> Command {
    /// Newer releases of Go build the tool when it is first used, and look for changes each time that they start it.
    static TOOL: LazyLock<PathBuf> = LazyLock::new(|| {
        let go = std::env::var("SPAN_PROFILER_GO").expect("set SPAN_PROFILER_GO to the path of the program");
        let run = |arguments: &[&str]| {
            let output = Command::new(&go).env("GOTOOLCHAIN", "local").args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["tool", "pprof", "-h"]);
        PathBuf::from(run(&["tool", "-n", "pprof"]).trim())
    });
    let mut command = Command::new(&*TOOL);
    command.env("PPROF_TMPDIR", std::env::temp_dir());
    command
}

/// An encoded profile as a file.
struct File(PathBuf);

impl File {
    fn new(symbolized: &Symbolized) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("span-profiler-{}-{}.pb.gz", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, symbolized.to_pprof()).unwrap();
        Self(path)
    }

    fn pprof(&self, arguments: &[&str]) -> String {
        let output = go().args(arguments).arg(&self.0).output().unwrap();
        let (said, complained) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{arguments:?}: {said}{complained}");
        said
    }

    fn top(&self, arguments: &[&str]) -> Costs {
        read_top(&self.pprof(&[&["-top"], &ALL[..], arguments].concat()))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

type Costs = BTreeMap<String, (i64, i64)>;

/// Lines of `flat flat% sum% cum cum% name`, below a head.
fn read_top(text: &str) -> Costs {
    let number = |text: &str| -> i64 { text.trim_end_matches("ns").parse().unwrap() };
    let rows = text.lines().skip_while(|line| !line.trim_start().starts_with("flat ")).skip(1);
    rows.map(|row| {
        let mut rest = row;
        let mut fields = Vec::new();
        for _ in 0..5 {
            let (field, behind) = rest.trim_start().split_once(' ').unwrap_or_else(|| panic!("{row}"));
            fields.push(field);
            rest = behind;
        }
        let name = rest.trim().trim_end_matches(" (inline)").trim_end_matches(" (partial-inline)");
        (name.to_owned(), (number(fields[0]), number(fields[3])))
    })
    .collect()
}

fn ours(symbolized: &Symbolized, value: usize) -> Costs {
    let top = symbolized.top(value);
    let costs: Costs = top.iter().map(|function| (function.name.to_string(), (function.flat, function.cum))).collect();
    assert_eq!(costs.len(), top.len(), "a function is there twice");
    costs
}

fn random(runner: &mut TestRunner, values: std::ops::Range<i64>) -> Vec<Sample> {
    samples(values).new_tree(runner).unwrap().current()
}

#[test]
fn top_is_what_go_says() {
    let mut runner = TestRunner::deterministic();
    let mut functions = 0;
    for index in 0..PROFILES {
        let mut profile = profile(random(&mut runner, -3..100));
        profile.drop_frames = [None, Some("malloc|_rjem_.*"), Some("program::(main|deep)")][index % 3];
        let symbolized = symbolized(profile);
        let file = File::new(&symbolized);
        assert_eq!(file.top(&["-sample_index=samples"]), ours(&symbolized, 0), "{symbolized:?}");
        assert_eq!(file.top(&["-unit=ns"]), ours(&symbolized, 1), "cpu is the default: {symbolized:?}");
        functions += ours(&symbolized, 0).len();
    }
    assert!(functions > 2 * PROFILES, "profiles with little in them: {functions}");
}

#[test]
fn a_difference_is_what_go_subtracts() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..PROFILES / 4 {
        let (base, later) = (profile(random(&mut runner, 1..100)), profile(random(&mut runner, 1..100)));
        let base_file = File::new(&symbolized(base.clone()));
        let argument = format!("-diff_base={}", base_file.0.display());
        let mut theirs = File::new(&symbolized(later.clone())).top(&[&argument, "-sample_index=samples"]);
        let mut ours = ours(&symbolized(later.minus(&base)), 0);
        theirs.retain(|_, costs| *costs != (0, 0));
        ours.retain(|_, costs| *costs != (0, 0));
        assert_eq!(ours, theirs);
    }
}

fn spans() -> Symbolized {
    symbolized(profile(vec![
        sample(&[0x10_0040, 0x10_0020, 0x10_0010], 3, &[("span_name", "cpu_loop"), ("trace_id", "0a")]),
        sample(&[0x10_0030, 0x10_0010], 5, &[("span_name", "json \"x\""), ("trace_id", "0b")]),
        sample(&[0x20_0020, Profile::TRUNCATED], 7, &[]),
    ]))
}

#[test]
fn go_shows_the_spans_and_selects_by_them() {
    let file = File::new(&spans());
    let tags = file.pprof(&["-tags", "-sample_index=samples"]);
    for line in ["span_name: Total 8", "trace_id: Total 8", "5 (33.33%): json \"x\"", "3 (20.00%): cpu_loop"] {
        assert!(tags.contains(line), "no {line} in {tags}");
    }
    let focused = file.top(&["-sample_index=samples", "-tagfocus=span_name=cpu_loop"]);
    assert_eq!(focused["program::deep"], (3, 3));
    assert_eq!(focused["program::main"], (0, 3));
    assert!(!focused.contains_key("malloc"), "{focused:?}");
}

#[test]
fn go_shows_every_frame_of_a_stack_with_its_labels() {
    let traces = File::new(&spans()).pprof(&["-traces", "-sample_index=samples"]);
    let lines: Vec<String> = traces.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let leaf = lines.iter().position(|line| line == "3 program::deep").unwrap_or_else(|| panic!("{traces}"));
    let labels: HashSet<&str> = lines[leaf - 2..leaf].iter().map(String::as_str).collect();
    assert_eq!(labels, HashSet::from(["span_name: cpu_loop", "trace_id: 0a"]), "{traces}");
    let callers =
        ["<alloc::vec::Vec<[u8; 32]> as program::Take>::take (inline)", "program::run::<u8>", "program::main"];
    assert_eq!(lines[leaf + 1..leaf + 4], callers, "{traces}");
    assert!(traces.contains("[truncated]"), "{traces}");
}

#[test]
fn go_reads_the_head_and_the_mappings() {
    let raw = File::new(&spans()).pprof(&["-raw"]);
    for part in [
        "PeriodType: cpu nanoseconds",
        "Period: 10000000",
        "Duration: 30s",
        "samples/count cpu/nanoseconds[dflt]",
        "2 samples were lost",
        "1: 0x100000/0x200000/0x1000 /opt/program c0ffee [FN][FL][LN][IN]",
        "2: 0x200000/0x300000/0x1000 /opt/library.so c0ffee [FN][FL][LN][IN]",
        "program::run::<u8> src/18.rs:609",
    ] {
        assert!(raw.contains(part), "no {part} in {raw}");
    }
    for (_, names) in &NAMES[..5] {
        assert!(names.iter().all(|name| raw.contains(name)), "{names:?} in {raw}");
    }
}

#[test]
fn go_reads_a_profile_of_this_process_and_one_without_samples() {
    let here = go_reads_a_profile_of_this_process_and_one_without_samples as fn() as usize as u64;
    let file = File::new(&profile(vec![sample(&[here, Profile::TRUNCATED], 3, &[])]).symbolize());
    let top = file.top(&["-sample_index=samples"]);
    let name = top.keys().find(|name| name.contains("::go_reads_a_profile_of_this_process")).unwrap();
    assert_eq!(top[name], (3, 3));
    let raw = file.pprof(&["-raw"]);
    assert!(raw.contains(std::env::current_exe().unwrap().to_str().unwrap()), "{raw}");
    assert!(raw.contains("src/profile/pprof/tests/foreign.rs:"), "{raw}");

    assert_eq!(File::new(&symbolized(profile(Vec::new()))).top(&[]), Costs::new());
}
