//! Every kind of profile over HTTP, read by `go tool pprof` and by Perfetto's own schema, and what our command says.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use xtask::config::{ProcessEnv, Settings};
use xtask::progress::Progress;
use xtask::{e2e, pprof, python, repo};

use super::LOOP;
use crate::e2e::lab::Lab;

/// Addresses of all kinds below `/debug/pprof/`, and what `-top` says it shows.
///
/// What a few requests leave on the heap may be too little for a sample in any of their spans: the difference of two
/// profiles has as many seconds as it needs.
const KINDS: [(&str, &str); 7] = [
    ("profile?seconds=2", "Type: cpu"),
    ("profile?seconds=2&span=cpu_loop", "Type: cpu"),
    ("profile?since=1m", "Type: cpu"),
    ("heap", "Type: inuse_space"),
    ("heap?seconds=5", "Type: inuse_space"),
    ("allocs", "Type: alloc_space"),
    ("goroutine", "Type: goroutine"),
];

/// Without them, pprof leaves small functions out.
const ALL: [&str; 3] = ["-nodecount=0", "-nodefraction=0", "-edgefraction=0"];

struct Pprof {
    tool: PathBuf,
    /// Where it keeps the profiles that it fetches.
    dir: tempfile::TempDir,
}

/// What is not there is skipped outside of CI, as `make e2e` has said before.
fn or_skip<T>(found: anyhow::Result<T>, what: &str) -> Option<T> {
    let ci = Settings::from_env(&ProcessEnv).unwrap().ci;
    e2e::or_skip(found, ci, what, &mut Progress::default()).unwrap()
}

impl Pprof {
    /// What it prints, and what it remarks.
    fn run(&self, args: &[&str], source: &str) -> (String, String) {
        let mut command = Command::new(&self.tool);
        command.args(ALL).args(args).arg(source).env("PPROF_TMPDIR", self.dir.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (said, remarked) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?} {source}: {said}{remarked}");
        (said, remarked)
    }

    /// Fetches a profile over HTTP, as a person would; `-top` of it, and the file that the tool keeps.
    fn fetch(&self, url: &str) -> (String, String) {
        let (top, remarks) = self.run(&["-top"], url);
        let saved = remarks.lines().find_map(|line| line.strip_prefix("Saved profile in "));
        (top, saved.unwrap_or_else(|| panic!("{remarks}")).to_owned())
    }

    fn read(&self, args: &[&str], file: &str) -> String {
        self.run(args, file).0
    }
}

/// The function in the first row of `-top`.
fn first(top: &str) -> &str {
    let mut rows = top.lines().skip_while(|line| !line.trim_start().starts_with("flat "));
    rows.nth(1).and_then(|row| row.split_whitespace().nth(5)).unwrap_or_default()
}

pub(super) fn go_tool_pprof(lab: &Lab) {
    let Some(tool) = or_skip(pprof::tool(), "what go tool pprof thinks of profiles") else { return };
    let pprof = Pprof { tool, dir: tempfile::tempdir().unwrap() };
    let files: Vec<_> = KINDS
        .iter()
        .map(|(path, shows)| {
            let (top, file) = pprof.fetch(&lab.diagnostics_url(&format!("/debug/pprof/{path}")));
            assert!(top.contains(shows), "{path}: {top}");
            let traces = pprof.read(&["-traces"], &file);
            assert!(traces.matches("-----------+").count() > 1, "{path} has no stack: {traces}");
            let tags = pprof.read(&["-tags"], &file);
            assert!(tags.contains("span_name: Total"), "{path} knows no span: {tags}");
            println!("  {path}: {} on top, {} lines of stacks", first(&top), traces.lines().count());
            file
        })
        .collect();
    let [cpu, of_span, recorded, heap, _, allocs, _] = &files[..] else { unreachable!("one for each kind") };
    for file in [cpu, recorded] {
        // The requests that wait for a core are not in it, however long they take.
        let focused = pprof.read(&["-top", "-tagfocus=span_name=cpu_loop"], file);
        assert_eq!(first(&focused), LOOP, "{focused}");
        let others = pprof.read(&["-top", "-tagignore=span_name=cpu_loop"], file);
        assert_ne!(first(&others), LOOP, "{others}");
    }
    let tags = pprof.read(&["-tags"], of_span);
    let names = tags.split("\n\n").find(|block| block.trim_start().starts_with("span_name:")).unwrap();
    assert_eq!(names.trim().lines().count(), 2, "more than one span: {names}");
    assert!(pprof.read(&["-tags"], cpu).contains("trace_id: Total"));

    for kind in ["inuse_space", "inuse_objects", "alloc_space", "alloc_objects"] {
        for file in [heap, allocs] {
            let top = pprof.read(&["-top", &format!("-sample_index={kind}")], file);
            assert!(top.contains(&format!("Type: {kind}")) && !first(&top).is_empty(), "{top}");
        }
    }
    let difference = pprof.read(&["-top", &format!("-diff_base={cpu}")], cpu);
    assert!(difference.contains("accounting for 0, 0% of"), "a profile differs from itself: {difference}");
    let difference = pprof.read(&["-top", "-sample_index=alloc_space", &format!("-diff_base={heap}")], allocs);
    assert!(!first(&difference).is_empty(), "nothing was allocated between two profiles: {difference}");
}

pub(super) fn perfetto(lab: &Lab) {
    let cache = Settings::from_env(&ProcessEnv).unwrap().user_cache;
    let python = python::with_readers(&repo(), &cache, &mut Progress::default());
    let Some(python) = or_skip(python, "what Perfetto's schema says of execution traces") else { return };
    let read = |trace: &[u8]| {
        let mut command = Command::new(&python);
        command.arg(repo().join("xtask/python/execution_trace.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(trace).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let page = lab.diagnostics("/debug/pprof/trace?seconds=1");
    assert_eq!(page.status, 200, "{}", page.text());
    let (code, said) = read(&page.body);
    assert_eq!(code, Some(0), "{said}");
    println!("  perfetto: {}", said.trim());
    let counts: Value = serde_json::from_str(&said).unwrap();
    for name in ["slices of cpu_loop", "slices of GET /api/work", "threads"] {
        assert!(counts[name].as_u64() > Some(0), "no {name}: {said}");
    }
    // A reader that takes everything would prove nothing.
    assert_eq!(read(&page.body[..page.body.len() - 1]).0, Some(1));
    assert_eq!(read(b"").0, Some(1));
}

pub(super) fn our_command(lab: &Lab) {
    let (code, said) = lab.phaselab_text(&["profile", "--span", "cpu_loop", "--seconds", "2"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("cpu_loop") && said.contains(LOOP), "{said}");
}
