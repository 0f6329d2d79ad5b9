//! The embedded console from outside. Catches: an exemplar that needs a collector to be seen or whose trace is not there,
//! counts that are not those of `/metrics`, scenarios that strangers start, bad addresses that break a page, markup that
//! comes from outside.

mod bounds;
mod histogram;
mod overview;
mod search;
mod trace;

use std::time::Instant;

use serde_json::Value;

use crate::client::PATIENCE;
use crate::diagnostics::Private;

impl Private {
    /// A document of the console, once it is as it should be.
    fn console(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.get(&format!("/console/api/{path}"));
            // A metric that has not been recorded yet is not found.
            if answer.status == 200 && fits(&answer.json()) {
                return answer.json();
            }
            assert!(started.elapsed() < PATIENCE, "{path}: {answer:?}");
        }
    }

    /// A page, once it is as it should be.
    fn page(&self, path: &str, fits: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let answer = self.get(path);
            assert_eq!(answer.status, 200, "{answer:?}");
            if fits(&answer.body) {
                return answer.body;
            }
            assert!(started.elapsed() < PATIENCE, "{path}: {}", answer.body);
        }
    }
}

/// The addresses that a page links to and that its forms send to.
fn links(page: &str) -> Vec<String> {
    let quoted = |start: &str| {
        page.split(start).skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")).collect::<Vec<_>>()
    };
    [quoted("href=\""), quoted("src=\"")].concat()
}

#[test]
fn without_bytes_there_is_no_console() {
    let private = Private::start(&[("PHASELAB_CONSOLE_BYTES", "0")]);
    private.get("/console/").problem(404, "not_found");
    assert_eq!(private.get("/").header("location"), Some("/debug/pprof/"));
    assert!(!private.get("/debug/pprof/").body.contains("/console/"));
}
