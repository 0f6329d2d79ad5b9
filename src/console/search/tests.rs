//! Catches: a search that means something else than its form, faults that are named one by one, addresses that find
//! something else.

use super::*;

fn read(query: &str) -> Ask {
    Ask::read(Some(query), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000))
}

fn faults(query: &str) -> Vec<String> {
    read(query).faults.into_iter().map(|fault| fault.parameter).collect()
}

#[test]
fn a_form_is_a_query() {
    let ask = read(
        "trace_id=0af7651916cd43dd8448eb211c80319c&name=GET+%2Fapi&attributes=a%3D1+b%3D%222+3%22&min_duration=250ms&\
         max_duration=1s500ms&error=true&exemplar=true&since=&from=1970-01-01T00:01&to=1970-01-01T00:02:00.5Z&\
         sort=slowest&limit=7",
    );
    assert_eq!(ask.faults, []);
    let attributes = [("a", "1"), ("b", "2 3")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let expected = Query {
        trace_id: Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        name: Some("GET /api".to_owned()),
        attributes,
        error: Some(true),
        min_duration_ns: Some(250_000_000),
        max_duration_ns: Some(1_500_000_000),
        started: Some(60_000_000_000..=120_500_000_000),
        exemplar: true,
        slowest: true,
        limit: 7,
    };
    assert_eq!(ask.query, expected);
    assert_eq!(read(&ask.address()).query, expected, "the address can be shared");
    assert_eq!(read(&ask.with("sort", "newest")).query, Query { slowest: false, ..expected });
}

#[test]
fn what_is_empty_was_not_asked_for() {
    let all = Query { limit: LIMIT, ..Query::default() };
    for empty in ["", "trace_id=&name=&attributes=&min_duration=&max_duration=&error=&since=&from=&to=&sort=&limit="] {
        let ask = read(empty);
        assert_eq!((ask.query.clone(), ask.faults.len(), ask.is_narrow()), (all.clone(), 0, false), "{empty}");
    }
    assert!(read("error=false").is_narrow() && !read("sort=slowest").is_narrow());
    assert_eq!(read("since=15m").query.started, Some(100_000_000_000..=u64::MAX));
    assert_eq!(read("since=1h").query.started, Some(0..=u64::MAX), "the time before 1970 has no traces");
}

#[test]
fn all_faults_are_named_at_once() {
    let wrong = "trace_id=x&attributes=x&min_duration=1&max_duration=-1s&error=yes&exemplar=1&since=0s&from=now&\
                 to=2026-02-30T00:00:00&sort=x&limit=501&colour=red";
    let mut found = faults(wrong);
    found.sort_unstable();
    let all = [
        "attributes",
        "colour",
        "error",
        "exemplar",
        "from",
        "limit",
        "max_duration",
        "min_duration",
        "since",
        "sort",
        "to",
        "trace_id",
    ];
    assert_eq!(found, all);
    assert_eq!(faults("min_duration=2s&max_duration=1s"), ["max_duration"]);
    assert_eq!(faults("from=2026-01-02T00:00:00&to=2026-01-01T00:00:00&since=1m"), ["to", "since"]);
    assert_eq!(faults("from=é26-01-02T00:0"), ["from"]);
    assert_eq!(read("limit=0&name=a&name=b").given("limit"), "0", "what is wrong stays in the form");
}

#[test]
fn like_this_one_is_half_to_twice_as_long() {
    for (nanos, query) in [
        (123_456_789, "name=a%20b&min_duration=60ms&max_duration=250ms"),
        (1_000, "name=a%20b&min_duration=500ns&max_duration=2us"),
        (7, "name=a%20b&min_duration=3ns&max_duration=1us"),
        (0, "name=a%20b&min_duration=0s&max_duration=1us"),
    ] {
        assert_eq!(like("a b", nanos), query);
        assert_eq!(faults(query), [""; 0]);
    }
    assert_eq!(read(&like("x", u64::MAX)).faults, []);
}
