//! Catches traces that only their own author can read: Perfetto's schema, in Python, reads one.

use std::process::Command;

use super::*;

#[test]
fn perfettos_schema_reads_a_trace() {
    let _alone = alone();
    let _subscriber = labels();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let open = tracing::info_span!("foreign_open").entered();
    let recording = Recording::with_capacity(1 << 20).unwrap();
    drop(open);
    ping_pong(["foreign::ping", "foreign::pong"], 1_000);
    runtime.block_on(async {
        let names = ["foreign::many", "ünïcode \"quoted\"\n"];
        let tasks: Vec<_> = (0..100)
            .map(|index| {
                spawn_named(names[index % 2], tokio::task::yield_now().instrument(tracing::info_span!("foreign_span")))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let trace = recording.finish();
    let expected = r#"{"slices": {"poll/foreign::ping": 1001, "poll/foreign::pong": 1000, "poll/foreign::many": 100,
        "poll/ünïcode \"quoted\"\n": 100, "span/foreign_open": 1}, "notes": [NOTES]}"#;
    let notes: Vec<_> = trace.notes().iter().map(|note| format!("{note:?}")).collect();
    let said = check(&trace.to_perfetto(), &expected.replace("NOTES", &notes.join(",")));
    println!("{said}");
    // A wake for each poll and a spawn for each task.
    let flows: u64 = said.split_whitespace().find_map(|part| part.strip_prefix("flows=")?.parse().ok()).unwrap();
    assert!(flows >= 2_001 + 200, "{said}");
}

#[test]
fn perfettos_schema_reads_a_trace_with_losses() {
    let _alone = alone();
    let recording = Recording::with_capacity(512).unwrap();
    ping_pong(["foreign::lost", "foreign::lost"], 1_000);
    let trace = recording.finish();
    assert!(trace.lost() > 0);
    let said = check(&trace.to_perfetto(), r#"{"slices": {}, "notes": ["later events of this thread are lost"]}"#);
    println!("{said}");
}

fn check(trace: &[u8], expected: &str) -> String {
    let file = std::env::temp_dir().join(format!("span-profiler-{}.pftrace", std::process::id()));
    std::fs::write(&file, trace).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/perfetto_check.py");
    let output = Command::new(variable("SPAN_PROFILER_PYTHON")).arg(script).arg(&file).arg(expected).output();
    // Left to the operating system if it fails: the test's outcome does not depend on it.
    let _ = std::fs::remove_file(&file);
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[expect(clippy::disallowed_methods, reason = "where a foreign program is can only be told from outside")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name} to the path of the program"))
}
