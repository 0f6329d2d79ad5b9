//! The running service's `/metrics`, read by strangers: Python's OpenMetrics parser, and promtool.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use xtask::config::{ProcessEnv, Settings};
use xtask::programs::{PROMTOOL, Places};
use xtask::progress::Progress;
use xtask::{python, repo};

use super::lab::{Lab, Options, PATIENCE, wait_for};
use super::service::{FAST, Traffic};

/// A service with exemplars on its page, while requests go on.
fn page(accept: &str) -> String {
    let lab = Lab::start(Options { serve: true, ..Options::default() });
    let traffic = Traffic::start(&lab, FAST, 20);
    // Scraping does not take an exemplar away, so the next page has it too.
    wait_for("an exemplar is on /metrics", PATIENCE, || {
        lab.metrics_page("application/openmetrics-text").contains("# {trace_id")
    });
    let page = lab.metrics_page(accept);
    traffic.stop();
    page
}

/// What a program says about a page.
fn read(mut command: Command, page: &str) -> (Option<i32>, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn prometheus_client_reads_the_openmetrics_page_with_its_exemplars() {
    let settings = Settings::from_env(&ProcessEnv).unwrap();
    let python = python::with_readers(&repo(), &settings.user_cache, &mut Progress::default()).unwrap();
    let read = |page: &str| {
        let mut command = Command::new(&python);
        command.arg(repo().join("xtask/python/openmetrics.py"));
        read(command, page)
    };
    let page = page("application/openmetrics-text; version=1.0.0");
    let (code, said) = read(&page);
    assert_eq!(code, Some(0), "{said}\n{page}");
    println!("  prometheus_client: {}", said.trim());
    let counts: Value = serde_json::from_str(&said).unwrap();
    assert!(counts["families"].as_u64() > Some(10) && counts["exemplars"].as_u64() > Some(0), "{said}");
    // A reader that takes everything would prove nothing.
    for broken in [page.replace("# EOF\n", ""), page.replace("# {trace_id", "# {trace id")] {
        assert_eq!(read(&broken).0, Some(1));
    }
}

#[test]
fn promtool_reads_the_text_page() {
    let settings = Settings::from_env(&ProcessEnv).unwrap();
    let promtool = Places::new(&settings, &repo().join("stack")).unwrap().find(&PROMTOOL).found.unwrap();
    let check = |page: &str| {
        let mut command = Command::new(&promtool);
        command.args(["check", "metrics"]);
        read(command, page)
    };
    let page = page("text/plain; version=0.0.4");
    assert!(!page.contains("# {trace_id"), "the text format knows no exemplars");
    let (code, said) = check(&page);
    // 3 stands for advice about a page that was read. The only advice is about two names of the semantic conventions.
    let about_names = |line: &str| line.starts_with("process_") && line.contains("should not have \"_count\" suffix");
    assert!(code == Some(0) || (code == Some(3) && said.trim().lines().all(about_names)), "{code:?}: {said}");
    assert_eq!(check(&page.replacen('=', "", 1)).0, Some(1), "a reader that takes everything would prove nothing");
}
