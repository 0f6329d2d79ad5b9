//! One profile of a kind at a time, and a service that is not disturbed by any.

use xtask::http;

use super::PATIENCE;
use crate::e2e::lab::{Lab, wait_for};
use crate::e2e::service::FAST;

/// Long enough to be met by a second client, also on a machine that is busy.
const SECONDS: u64 = 4;

pub(super) fn run(lab: &Lab) {
    let path = format!("/debug/pprof/profile?seconds={SECONDS}");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut page = lab.diagnostics(&path);
            // A short one below may be under way.
            while page.status == 409 {
                page = lab.diagnostics(&path);
            }
            page
        });
        let mut refused = None;
        wait_for("a second profile is refused", PATIENCE, || {
            // It may come before the first one, and is short then.
            let page = lab.diagnostics("/debug/pprof/profile?seconds=0.05");
            assert!([200, 409].contains(&page.status), "{}", page.text());
            refused = Some(page).filter(|page| page.status == 409);
            refused.is_some()
        });
        let refused = refused.unwrap();
        let wait = refused.retry_after.unwrap();
        assert!((1..=SECONDS + 1).contains(&wait), "{wait}");
        assert!(refused.text().contains(&format!("needs about {wait} s still")), "{}", refused.text());
        // Another kind is no matter of the first one, and neither is the service's own work.
        assert_eq!(lab.diagnostics("/debug/pprof/heap").status, 200);
        assert_eq!(lab.get(FAST).status, 200);
        let ready = format!("http://127.0.0.1:{}/readyz", lab.stack.config().ports.http);
        http::is_ready(&ready).unwrap();
        let first = first.join().unwrap();
        assert_eq!(first.status, 200, "{}", first.text());
    });
    wait_for("another one is admitted afterwards", PATIENCE, || {
        lab.diagnostics("/debug/pprof/profile?seconds=0.05").status == 200
    });
}
