//! The embedded console from outside. Catches: an exemplar that needs a collector to be seen or whose trace is not there.

use std::time::Instant;

use crate::client::PATIENCE;
use crate::diagnostics::Private;

/// The first link of a page that begins so, once there is one.
fn link(private: &Private, page: &str, start: &str) -> String {
    let started = Instant::now();
    loop {
        let answer = private.get(page);
        assert_eq!(answer.status, 200, "{answer:?}");
        let link = answer.body.split("href=\"").find(|rest| rest.starts_with(start));
        if let Some(link) = link {
            return link.split('"').next().unwrap().to_owned();
        }
        assert!(started.elapsed() < PATIENCE, "no link to {start}: {}", answer.body);
    }
}

#[test]
fn one_request_is_an_exemplar_without_any_collector() {
    let private = Private::start(&[]);
    let (trace_id, _) = private.server.get("/").trace();
    assert_eq!(link(&private, "/console/", "/console/trace/"), format!("/console/trace/{trace_id}"));
}
