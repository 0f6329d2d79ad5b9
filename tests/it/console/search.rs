//! Traces that somebody looks for.

use serde_json::Value;

use super::links;
use crate::diagnostics::Private;

impl Private {
    /// The traces that a search finds, once there are `many`.
    fn found(&self, query: &str, many: usize) -> Vec<String> {
        let traces = |found: &Value| found["traces"].as_array().unwrap().clone();
        let found = self.console(&format!("search?{query}"), |found| traces(found).len() == many);
        traces(&found).iter().map(|one| one["trace_id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn traces_are_found_by_what_their_spans_have() {
    let private = Private::start(&[]);
    let (work, _) = private.server.get("/api/work?db_ms=0&loop_iterations=10&items=1").trace();
    let (null, _) = private.server.get("/api/null").trace();
    let (failed, _) = private.server.get("/api/work?fail=cpu_loop&db_ms=0").trace();
    // All of their spans have ended when those of the first ones have, which nothing else waits for.
    private.found("name=GET+%2Fapi%2Fwork", 2);
    private.found("name=GET+%2Fapi%2Fnull", 1);
    let only = |query: &str, id: &str| assert_eq!(private.found(query, 1), [id], "{query}");
    only(&format!("trace_id={work}"), &work);
    only("name=json_encode", &work);
    only("attributes=http.route%3D%2Fapi%2Fnull", &null);
    only("attributes=http.route%3D%2Fapi%2Fwork+http.response.status_code%3D500", &failed);
    only("error=true", &failed);
    only("name=cpu_loop&error=false", &work);
    only("name=GET+%2Fapi%2Fnull&min_duration=1ns&max_duration=1h&since=15m", &null);
    assert_eq!(private.found("", 3).len(), 3);
    assert_eq!(private.found("limit=1", 1).len(), 1);
    for nothing in ["min_duration=1h", "to=2020-01-01T00:00:00", "name=%3Cscript%3E", "attributes=a%3D%3Cscript%3E"] {
        assert_eq!(private.found(nothing, 0), [""; 0], "{nothing}");
        let page = private.get(&format!("/console/search?{nothing}"));
        assert!(page.status == 200 && page.body.contains("None of the 3 traces"), "{page:?}");
        assert!(!page.body.contains("<script>"), "{page:?}");
    }
    let durations = |found: &Value| -> Vec<u64> {
        found["traces"].as_array().unwrap().iter().map(|one| one["duration_ns"].as_u64().unwrap()).collect()
    };
    let slowest = durations(&private.console("search?sort=slowest", |_| true));
    assert!(slowest.len() == 3 && slowest.is_sorted_by(|one, next| one >= next), "{slowest:?}");

    let page = private.page("/console/search?name=cpu_loop", |page| page.contains(&failed));
    assert!(page.contains("value=\"cpu_loop\""), "the form has what was searched for");
    for link in links(&page).iter().filter(|link| link.starts_with('/')) {
        assert_eq!(private.get(link.split('#').next().unwrap()).status, 200, "{link}");
    }
}

#[test]
fn everything_wrong_is_named_at_once_and_stays_in_the_form() {
    let private = Private::start(&[]);
    let wrong = "trace_id=x&attributes=%22%3Cb%3E&min_duration=2s&max_duration=1s&from=now&colour=red&sort=best";
    let document = private.get(&format!("/console/api/search?{wrong}")).problem(400, "invalid_parameter");
    let mut names: Vec<_> =
        document["parameters"].as_array().unwrap().iter().map(|one| one["parameter"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["attributes", "colour", "from", "max_duration", "sort", "trace_id"]);
    let page = private.get(&format!("/console/search?{wrong}"));
    assert_eq!((page.status, page.header("content-type")), (400, Some("text/html; charset=utf-8")));
    for name in names {
        assert!(page.body.contains(&format!("<code>{name}=")), "{name}: {}", page.body);
    }
    assert!(page.body.contains("value=\"&quot;&lt;b&gt;\"") && !page.body.contains("<b>"), "{}", page.body);

    let empty = private.get("/console/search");
    assert!(empty.status == 200 && empty.body.contains("No trace has been kept yet"), "{empty:?}");
}
