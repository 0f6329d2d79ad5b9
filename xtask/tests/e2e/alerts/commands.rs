//! The table of commands in `docs/queries.md`: each row says in its last column what runs it here, or nothing.
//!
//! Commands are taken from the table as they stand. Only what would take long is made short, and the usual ports are
//! replaced by those of this stack.

use std::fs;
use std::process::{Command, Stdio};

use xtask::config::{ProcessEnv, Settings};
use xtask::progress::Progress;
use xtask::{e2e, pprof, repo};

use super::watch::Named;
use crate::e2e::lab::Lab;
use crate::e2e::service::agent;

/// What is made shorter.
const SHORT: [(&str, &str); 4] =
    [("seconds=30", "seconds=1"), ("seconds=5", "seconds=1"), ("--tasks 100000", "--tasks 40"), ("48h", "1s")];

/// What a `phaselab` command gets besides: it is to end soon, and to be in nobody's way.
const BESIDES: [(&str, &[&str]); 3] = [
    ("ramp", &["--workers", "5", "--duration", "2s", "--output", "/dev/null"]),
    ("worker", &["--listen", "127.0.0.1:0", "--diagnostics-listen", "off"]),
    ("profile", &["--seconds", "1"]),
];

/// Profiles cost CPU time, in an unoptimized service seconds of it.
pub(super) const MAY: [Named; 1] = [("HighCPU", "phaselab")];

/// Runs every row that says it is run.
pub(super) fn run(lab: &Lab) {
    let text = fs::read_to_string(repo().join("docs/queries.md")).unwrap();
    let runner = Runner { lab, pprof: profile_reader() };
    let mut count = 0;
    let rows = rows(&text);
    for Row { by, cell } in &rows {
        let commands: Vec<_> = cell.split('`').skip(1).step_by(2).filter(|code| is_run_by(code, by)).collect();
        assert_eq!(commands.is_empty(), by == "–", "which command of {cell:?} does {by:?} run?");
        for command in commands {
            runner.run(by, &SHORT.iter().fold(command.to_owned(), |text, (long, short)| text.replace(long, short)));
            count += 1;
        }
    }
    let run = rows.iter().filter(|row| row.by != "–").count();
    assert!(run >= 15, "only {run} rows are run");
    println!("  {count} commands of {run} of {} rows of docs/queries.md run", rows.len());
}

struct Row {
    /// What runs it, or a dash.
    by: String,
    /// The commands, in text.
    cell: String,
}

/// The rows of the table of commands.
fn rows(text: &str) -> Vec<Row> {
    let (_, table) = text.split_once("\n## Commands\n").unwrap();
    // What is escaped is part of a command.
    let lines = table.lines().filter(|line| line.starts_with('|')).map(|line| line.replace("\\|", "\0"));
    let row = |line: String| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
        let [_, _, cell, by, _] = &cells[..] else { panic!("three columns: {line}") };
        Row { by: by.clone(), cell: cell.clone() }
    };
    lines.skip(2).map(row).collect()
}

fn is_run_by(code: &str, by: &str) -> bool {
    match by {
        "–" => false,
        // Also where it stands within another command.
        "curl" => code.contains("curl "),
        "go" => code.starts_with("go tool pprof "),
        "phaselab" | "make" | "ps" => code.starts_with(&format!("{by} ")),
        other => panic!("nobody called {other:?} runs commands"),
    }
}

/// Without it those rows are skipped outside of CI, as `make e2e` has said before.
fn profile_reader() -> Option<std::path::PathBuf> {
    let ci = Settings::from_env(&ProcessEnv).unwrap().ci;
    let what = "the commands of docs/queries.md that begin with go tool pprof";
    e2e::or_skip(pprof::tool(), ci, what, &mut Progress::default()).unwrap()
}

struct Runner<'a> {
    lab: &'a Lab,
    pprof: Option<std::path::PathBuf>,
}

impl Runner<'_> {
    fn run(&self, by: &str, command: &str) {
        println!("  {command}");
        match by {
            "curl" => {
                let mut answer = agent().get(self.address(command)).call().unwrap();
                let body = answer.body_mut().read_to_vec().unwrap();
                assert!(answer.status() == 200 && !body.is_empty(), "{command}: {}", answer.status());
            }
            "go" => {
                let Some(tool) = &self.pprof else { return };
                let dir = tempfile::tempdir().unwrap();
                let mut reader = Command::new(tool);
                // In place of the page that `-http` would open, and with time for a service that has much to do.
                reader.args(["-top", "-timeout=100", &self.address(command)]).env("PPROF_TMPDIR", dir.path());
                let top = said(reader);
                assert!(top.contains("Type: ") && top.contains("flat%"), "{command}: {top}");
            }
            "phaselab" => {
                let mut arguments: Vec<_> = command.split_whitespace().skip(1).collect();
                let besides = BESIDES.iter().find(|(name, _)| *name == arguments[0]);
                arguments.extend(besides.into_iter().flat_map(|(_, more)| *more));
                let mut program = self.lab.phaselab_command(&arguments);
                // Its numbers would be among those that others wait for.
                program.env("OTEL_METRICS_EXPORTER", "none");
                let output = program.output().unwrap();
                // What leaks meanwhile is not healthy, which is an answer, too.
                let codes = if arguments[0] == "health" { 0..=1 } else { 0..=0 };
                let good = output.status.code().is_some_and(|code| codes.contains(&code));
                assert!(good && !output.stdout.is_empty(), "{command}: {output:?}");
            }
            _ => {
                let mut words = command.split_whitespace();
                let mut program = Command::new(words.next().unwrap());
                program.args(words).current_dir(repo());
                let said = said(program);
                assert!(said.lines().count() > 1, "{command}: {said}");
            }
        }
    }

    /// The address in a command, on this stack.
    fn address(&self, command: &str) -> String {
        let ports = &self.lab.stack.config().ports;
        let (_, after) = command.split_once("localhost:").unwrap_or_else(|| panic!("no address in {command}"));
        let address = after.split([' ', '\'', '"']).next().unwrap();
        let (port, path) = address.split_once('/').unwrap_or_else(|| panic!("no path in {command}"));
        let port = match port {
            "8080" => ports.http,
            "8081" => ports.worker_bad,
            "8082" => ports.worker_optimized,
            "6060" => ports.diagnostics,
            "6061" => ports.worker_bad_diagnostics,
            "6062" => ports.worker_optimized_diagnostics,
            "9090" => ports.prometheus,
            other => panic!("whose is the port {other}?"),
        };
        // Without a length it takes 30 s.
        let short = if path == "debug/pprof/profile" { "?seconds=1" } else { "" };
        format!("http://127.0.0.1:{port}/{path}{short}")
    }
}

/// What a program prints that succeeds.
fn said(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
