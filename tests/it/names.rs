//! Whether the service shows what it says it shows. Catches: an instrument of another kind or with another attribute
//! than `names.rs` declares, which every check of queries goes by; a name that nothing emits; a counter that begins with
//! its first event, which `rate` and `increase` do not see then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use phaselab::names::websocket::{Broadcast, Fault, Received, Refusal, Sent};

use crate::client::PATIENCE;
use crate::server::{Server, run};

/// Labels of the page that no attribute makes.
const OF_THE_PAGE: [&str; 3] = ["otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];

/// Shown by `phaselab verify --watch`, which has tests of its own.
const OF_ANOTHER_PROGRAM: &str = "verify_exemplars";

/// A series: its kind, and its labels.
type Series = (String, BTreeSet<String>);

/// What `phaselab check --names` lists, by name in Prometheus.
fn listed() -> BTreeMap<String, Series> {
    let listing = run(&["check", "--names"], &[]);
    assert!(listing.status.success(), "{}", listing.stderr);
    let series = listing.stdout.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let labels = words.get(3).map(|labels| labels.split(',').map(str::to_owned).collect()).unwrap_or_default();
        (words[2].to_owned(), (words[1].to_owned(), labels))
    });
    let listed: BTreeMap<_, _> = series.collect();
    assert!(listed.len() > 50);
    listed
}

fn page(server: &Server) -> String {
    server.request("GET", "/metrics", &[("Accept", "text/plain")]).body
}

/// The series of a page, with all labels that any of them has.
fn shown(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut shown: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.starts_with("target_info")) {
        let labels = label_names(line).filter(|label| !OF_THE_PAGE.contains(label));
        shown.entry(line.split(['{', ' ']).next().unwrap()).or_default().extend(labels);
    }
    shown
}

/// A service with everything on, whose database has been opened.
fn service() -> Server {
    let server = Server::start(&[("PHASELAB_DIAGNOSTICS_LISTEN", "127.0.0.1:0")]);
    wait_until("it is ready", || server.get("/readyz").status == 200);
    server
}

/// A worker that has begun.
fn worker(kind: &str) -> Server {
    let server = Server::start_as(&["worker", "--kind", kind, "--tasks", "100000", "--duration", "1h"], &[]);
    wait_until("it has begun", || page(&server).contains("worker_task_errors_total"));
    server
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < 4 * PATIENCE, "{what}: not yet");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_series_of_the_page_is_listed_with_its_kind_and_labels() {
    let listed = listed();
    let server = Server::start(&[]);
    server.get("/api/work?db_ms=1");
    server.get("/api/work?fail=db_query");
    server.get("/api/work?items=x");
    server.get("/none");
    let page = page(&server);
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let kinds: BTreeMap<_, _> = types.collect();
    let shown = shown(&page);
    assert!(shown.len() > 50, "{page}");
    for (name, labels) in shown {
        let (kind, known) = listed.get(name).unwrap_or_else(|| panic!("{name} is not listed"));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let found = kinds.get(name).or_else(|| kinds.get(family?)).unwrap_or_else(|| panic!("{name} has no type"));
        let expected = match kind.as_str() {
            "UpDownCounter" | "Gauge" => "gauge",
            "Counter" => "counter",
            _ => "histogram",
        };
        assert_eq!(*found, expected, "{name}");
        for label in labels {
            assert!(known.contains(label), "{name} shows the label {label}, which is not listed");
        }
    }
}

#[test]
fn everything_that_is_listed_is_shown_by_the_service_or_by_a_worker() {
    let servers = [service(), worker("bad"), worker("optimized")];
    let pages = servers.each_ref().map(page);
    for (name, (_, labels)) in listed().iter().filter(|(name, _)| *name != OF_ANOTHER_PROGRAM) {
        let found: Vec<BTreeSet<_>> = pages.iter().filter_map(|page| shown(page).remove(name.as_str())).collect();
        assert!(!found.is_empty(), "nothing shows {name}");
        let found: BTreeSet<_> = found.into_iter().flatten().collect();
        assert!(labels.iter().all(|label| found.contains(&**label)), "{name} has {labels:?} and shows {found:?}");
    }
}

/// Two sets: what alerts look at, which is read from the rules, and every counter there is.
#[test]
fn counters_and_what_alerts_look_at_are_there_before_anything_happens() {
    let fresh = page(&service());
    let shown = shown(&fresh);
    let listed = listed();
    let mut rules = String::new();
    for entry in fs::read_dir("prometheus/rules").unwrap() {
        rules += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let words: BTreeSet<_> = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let alerting = listed.keys().filter(|name| words.contains(name.as_str()) && *name != OF_ANOTHER_PROGRAM);
    let alerting: Vec<_> = alerting.collect();
    assert!(alerting.len() >= 10, "{alerting:?}");
    let counters = listed.iter().filter(|(name, (kind, _))| kind == "Counter" && !name.starts_with("worker_"));
    for name in counters.map(|(name, _)| name).chain(alerting) {
        assert!(shown.contains_key(name.as_str()), "{name} is not there yet");
    }

    let closed: [(&str, &str, BTreeSet<&str>); 9] = [
        ("websocket_errors_total", "kind", Refusal::ALL.iter().map(|kind| kind.name()).collect()),
        ("websocket_connection_errors_total", "kind", Fault::ALL.iter().map(|kind| kind.name()).collect()),
        ("websocket_messages_sent_total", "kind", Sent::ALL.iter().map(|kind| kind.name()).collect()),
        ("websocket_messages_received_total", "kind", Received::ALL.iter().map(|kind| kind.name()).collect()),
        ("websocket_broadcasts_total", "kind", Broadcast::ALL.iter().map(|kind| kind.name()).collect()),
        ("profiler_profiles_total", "kind", ["allocs", "cpu", "goroutine", "heap", "recorded", "trace"].into()),
        (
            "profiler_refused_total",
            "reason",
            [
                "body_too_large",
                "host_not_allowed",
                "origin_not_allowed",
                "peer_not_allowed",
                "profile_running",
                "token_required",
            ]
            .into(),
        ),
        (
            "http_server_request_duration_seconds_count",
            "http_response_status_code",
            ["200", "500", "503", "504"].into(),
        ),
        ("process_cpu_time_seconds_total", "cpu_mode", ["system", "user"].into()),
    ];
    for (name, label, expected) in closed {
        let values: BTreeSet<_> =
            fresh.lines().filter(|line| line.starts_with(name)).filter_map(|line| value(line, label)).collect();
        assert_eq!(values, expected, "{name}");
    }
    let dropped = fresh.lines().filter(|line| line.starts_with("exemplars_dropped_total"));
    assert!(dropped.filter(|line| line.ends_with(" 0")).count() >= 8, "{fresh}");
}

/// The value of a sample's label; no value here holds a quotation mark.
fn value<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    line.split_once(&format!("{label}=\""))?.1.split('"').next()
}

/// The names of a sample's labels; no value here holds a quotation mark.
fn label_names(line: &str) -> impl Iterator<Item = &str> {
    let braces = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let inside = braces.map_or("", |(inside, _)| inside);
    inside.split('"').step_by(2).filter_map(|part| part.trim_start_matches(',').strip_suffix('='))
}
