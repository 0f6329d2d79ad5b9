//! Whether the service shows what it says it shows. Catches: an instrument of another kind or with another attribute
//! than `names.rs` declares, which every check of queries goes by.

use std::collections::{BTreeMap, BTreeSet};

use crate::server::{Server, run};

/// Labels of the page that no attribute makes.
const OF_THE_PAGE: [&str; 3] = ["otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];

#[test]
fn every_series_of_the_page_is_listed_with_its_kind_and_labels() {
    let listing = run(&["check", "--names"], &[]);
    assert!(listing.status.success(), "{}", listing.stderr);
    let listed: BTreeMap<&str, (&str, BTreeSet<&str>)> = listing
        .stdout
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let labels = words.get(3).map(|labels| labels.split(',').collect()).unwrap_or_default();
            (words[2], (words[1], labels))
        })
        .collect();
    assert!(listed.len() > 50);

    let server = Server::start(&[]);
    server.get("/api/work?db_ms=1");
    server.get("/api/work?fail=db_query");
    server.get("/api/work?items=x");
    server.get("/none");
    let page = server.request("GET", "/metrics", &[("Accept", "text/plain")]).body;
    let mut kinds = BTreeMap::new();
    let mut seen = 0;
    for line in page.lines() {
        if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(family, kind);
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        if line.starts_with('#') || name == "target_info" {
            continue;
        }
        let (kind, labels) = listed.get(name).unwrap_or_else(|| panic!("{name} is not listed"));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let shown = kinds.get(name).or_else(|| kinds.get(family?)).unwrap_or_else(|| panic!("{name} has no type"));
        let expected = match *kind {
            "UpDownCounter" | "Gauge" => "gauge",
            "Counter" => "counter",
            _ => "histogram",
        };
        assert_eq!(*shown, expected, "{name}");
        for label in label_names(line).filter(|label| !OF_THE_PAGE.contains(label)) {
            assert!(labels.contains(label), "{name} shows the label {label}, which is not listed");
        }
        seen += 1;
    }
    assert!(seen > 50, "{page}");
}

/// The names of a sample's labels; no value here holds a quotation mark.
fn label_names(line: &str) -> impl Iterator<Item = &str> {
    let braces = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let inside = braces.map_or("", |(inside, _)| inside);
    inside.split('"').step_by(2).filter_map(|part| part.trim_start_matches(',').strip_suffix('='))
}
