//! Catches pages that only their own author can read: prometheus_client, in Python, reads random ones.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use opentelemetry::KeyValue;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::random::{record, specs};
use super::reader::{BROKEN, LabelSet, SOUND, Sample, read};
use super::rig::write;
use crate::exposition::Format;
use crate::exposition::values::push_json_string;

const PAGES: usize = 1_000;

#[test]
fn prometheus_client_reads_every_page_and_refuses_broken_ones() {
    let python = variable("OTEL_EXEMPLARS_PYTHON");
    let folder = Folder::new("openmetrics");
    let mut runner = TestRunner::deterministic();
    for index in 0..PAGES {
        let specs = specs().new_tree(&mut runner).unwrap().current();
        let (metrics, exemplars) = record(&specs, &[KeyValue::new("host.name", "a \"b\"\\\n")]);
        let (page, _) = write(Format::OpenMetrics, &metrics, &exemplars);
        folder.good(index, &page);
    }
    for (index, page) in SOUND.iter().enumerate() {
        folder.good(PAGES + index, page);
    }
    for (index, page) in BROKEN.iter().enumerate() {
        std::fs::write(folder.0.join(format!("bad-{index:02}.om")), page).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openmetrics_check.py");
    let output = Command::new(python).arg(script).arg(&folder.0).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    let counted = |word: &str| -> usize {
        said.split_whitespace().find_map(|part| part.strip_prefix(word)?.strip_prefix('=')?.parse().ok()).unwrap()
    };
    assert_eq!((counted("good"), counted("bad")), (PAGES + SOUND.len(), BROKEN.len()));
    assert!(counted("samples") > 10 * PAGES && counted("exemplars") > PAGES, "pages with little on them: {said}");
}

#[expect(clippy::disallowed_methods, reason = "where a foreign program is can only be told from outside")]
pub(super) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name} to the path of the program"))
}

/// A folder that ends with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(purpose: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("otel-exemplars-{purpose}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn good(&self, index: usize, page: &str) {
        let path = self.0.join(format!("good-{index:04}.om"));
        std::fs::write(&path, page).unwrap();
        let groups = read(Format::OpenMetrics, page).unwrap();
        let samples: Vec<_> = groups.iter().flat_map(|group| &group.samples).map(json).collect();
        write_json(&path, &samples);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left to the operating system if it fails: the test's outcome does not depend on it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write_json(page: &Path, samples: &[String]) {
    std::fs::write(page.with_extension("json"), format!("[{}]", samples.join(",\n"))).unwrap();
}

fn json(sample: &Sample) -> String {
    let mut out = String::from("[");
    push_json_string(&mut out, &sample.name);
    write!(out, ",{},\"{:e}\",", object(&sample.labels), sample.value).unwrap();
    match &sample.exemplar {
        Some((labels, value, time)) => write!(out, "[{},\"{value:e}\",\"{time:e}\"]", object(labels)).unwrap(),
        None => out.push_str("null"),
    }
    out + "]"
}

fn object(labels: &LabelSet) -> String {
    let mut out = String::from("{");
    for (name, value) in labels {
        if out.len() > 1 {
            out.push(',');
        }
        push_json_string(&mut out, name);
        out.push(':');
        push_json_string(&mut out, value);
    }
    out + "}"
}
