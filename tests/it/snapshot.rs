//! `phaselab snapshot` against a running service. Catches: a page that it does not understand, numbers that are not those of
//! the page, errors that do not say what to do, a watch that a signal does not end.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::diagnostics::traces::fake_peer;
use crate::server::{Finished, Server, command, run};

fn snapshot(url: &str, arguments: &[&str]) -> Finished {
    run(&[&["snapshot", "--url", url], arguments].concat(), &[])
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// The series of a metric.
fn series<'a>(reading: &'a Value, name: &str) -> &'a [Value] {
    let metrics = reading["metrics"].as_array().unwrap();
    let metric = metrics.iter().find(|metric| metric["name"] == name);
    metric.unwrap_or_else(|| panic!("no {name} in {reading:#}"))["series"].as_array().unwrap()
}

#[test]
fn a_service_is_read_without_prometheus() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        assert_eq!(server.get("/api/work?loop_iterations=1000").status, 200);
    }
    let finished = snapshot(&url(&server), &["--json"]);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let reading: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(reading["url"], format!("{}/metrics", url(&server)));
    assert_eq!(series(&reading, "work_loop_iterations_total")[0]["value"], 3000.0);
    let sections: Vec<_> = series(&reading, "section_duration_seconds")
        .iter()
        .map(|one| (one["labels"]["section"].as_str().unwrap(), one["count"].as_f64().unwrap()))
        .collect();
    assert_eq!(sections, [("cpu_loop", 3.0), ("db_query", 3.0), ("json_encode", 3.0)]);
    let one = &series(&reading, "section_duration_seconds")[0];
    let quantiles: Vec<_> =
        one["quantiles"].as_array().unwrap().iter().map(|one| one["quantile"].as_f64().unwrap()).collect();
    assert_eq!(quantiles, [0.5, 0.95, 0.99]);
    assert!(one.get("per_second").is_none(), "one reading tells no rate: {one}");

    let table = snapshot(&url(&server), &["section_", "work_loop"]).stdout;
    assert!(table.contains(", metrics: 2, series: 4\n"), "{table}");
    assert!(table.contains("\nsection_duration_seconds\n  section=\"cpu_loop\"") && table.contains("P95"), "{table}");
    assert!(table.lines().any(|line| line.split_whitespace().eq(["work_loop_iterations_total", "3000"])), "{table}");
}

#[test]
fn what_goes_wrong_is_explained() {
    let server = Server::start(&[]);
    let nothing = snapshot(&url(&server), &["go_", "python_"]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    assert!(nothing.stderr.contains("begins with go_ or python_"), "{nothing:?}");

    let nobody = snapshot("http://127.0.0.1:9", &[]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    for part in ["http://127.0.0.1:9/metrics", "start phaselab serve", "--url", "--worker"] {
        assert!(nobody.stderr.contains(part), "{part}: {nobody:?}");
    }

    let answers = [
        ("200 OK", "text/html", "<!DOCTYPE html><title>hello", 1, "answered text/html instead of OpenMetrics"),
        ("404 Not Found", "text/plain", "no page", 1, "404 Not Found: no page; name the address of the API"),
        ("200 OK", "application/openmetrics-text", "a 1\nb{c} 2\n# EOF\n", 1, "line 2: a label is name=\"value\""),
        ("200 OK", "application/openmetrics-text", "a 1\n", 1, "line 1: the last line is # EOF"),
        ("302 Found", "text/plain", "elsewhere", 1, "302 Found"),
    ];
    for (status, kind, body, code, said) in answers {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let (other, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), answer.leak().as_bytes());
        let finished = snapshot(&other, &[]);
        assert_eq!(finished.status.code(), Some(code), "{finished:?}");
        assert!(finished.stderr.contains(said) && finished.stdout.is_empty(), "{said}: {finished:?}");
    }

    for (arguments, said) in [
        (&["--url", "127.0.0.1:8080"][..], "write for example http://127.0.0.1"),
        (&["--worker", "good"], "bad, optimized"),
        (&["--watch", "2"], "write for example 30s"),
        (&["--timeout", "0s"], "not above zero"),
    ] {
        let finished = run(&[&["snapshot"], arguments].concat(), &[]);
        assert!(finished.status.code() == Some(64) && finished.stderr.contains(said), "{said}: {finished:?}");
    }
}

#[test]
fn nothing_is_read_without_end_nor_waited_for() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text\r\nConnection: close\r\n\r\n";
    let endless = format!("{head}{}", "a 1\n".repeat(5 << 20));
    let (other, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), endless.leak().as_bytes());
    let finished = snapshot(&other, &[]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("answered with more than 16777216 bytes"), "{finished:?}");

    let (silent, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), b"");
    let finished = snapshot(&silent, &["--timeout", "100ms"]);
    assert_eq!(finished.status.code(), Some(2), "{finished:?}");
    assert!(finished.stderr.contains("cannot ask") && finished.stderr.contains("timed out"), "{finished:?}");
}

#[test]
fn a_watch_has_rates_and_ends_with_a_signal() {
    let server = Server::start(&[]);
    server.get("/api/work");
    for signal in ["TERM", "INT"] {
        let mut child = command(&[])
            .args(["snapshot", "--url", &url(&server), "--json", "--watch", "100ms", "work_loop"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
        let rate = |reading: &Value| series(reading, "work_loop_iterations_total")[0]["per_second"].as_f64();
        assert!(rate(&next()).is_none());
        assert!(rate(&next()).is_some());
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_watch_quietly() {
    let server = Server::start(&[]);
    let mut child = command(&[])
        .args(["snapshot", "--url", &url(&server), "--json", "--watch", "10ms", "app_"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    assert!(first.contains("app_queue_depth"), "{first}");
}
