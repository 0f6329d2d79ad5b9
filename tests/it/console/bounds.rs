//! What comes from outside.

use crate::diagnostics::Private;

#[test]
fn markup_from_outside_is_text() {
    let private = Private::start(&[]);
    private.server.get("/api/work?db_ms=0&loop_iterations=10&items=1");
    private.console("overview", |found| found["requests"]["count"] == 1);
    let hostile = "%3Cscript%3Ealert(1)%3C/script%3E";
    let page = private.page(&format!("/console/histogram?http.route={hostile}"), |page| page.contains("<svg"));
    assert!(!page.contains("<script>") && page.contains("%3Cscript%3E"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown as what was chosen: {page}");
}

#[test]
fn a_store_that_is_full_stays_within_its_bytes_and_keeps_its_exemplars() {
    let private = Private::start(&[("PHASELAB_CONSOLE_BYTES", "1048576")]);
    let gone = |found: &serde_json::Value| found["store"]["traces_gone"].as_u64().unwrap();
    let mut overview = private.console("overview", |_| true);
    while gone(&overview) == 0 {
        for _ in 0..100 {
            private.server.get("/api/null");
        }
        overview = private.console("overview", |_| true);
    }
    let store = &overview["store"];
    assert!(store["bytes"].as_u64() <= store["bytes_limit"].as_u64(), "{store}");
    assert_eq!(store["bytes_limit"], 1_048_576);
    assert!(store["exemplars"].as_u64().unwrap() > 0, "{store}");
}
