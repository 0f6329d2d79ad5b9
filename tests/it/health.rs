//! `phaselab health` from outside. Catches: exit codes that take no answer for a good one.

use crate::server::run;

#[test]
fn without_prometheus_nothing_is_known() {
    let nobody = run(&["health", "--prometheus-url", "http://127.0.0.1:9"], &[]);
    assert_eq!((nobody.status.code(), nobody.stdout.as_str()), (Some(2), ""), "{nobody:?}");
    for part in ["cannot ask http://127.0.0.1:9/api/v1/query", "make up", "--prometheus-url"] {
        assert!(nobody.stderr.contains(part), "{part}: {nobody:?}");
    }
    let aimed = run(&["health"], &[("PHASELAB_PROMETHEUS_URL", "http://127.0.0.1:9")]);
    assert!(aimed.status.code() == Some(2) && aimed.stderr.contains("127.0.0.1:9/"), "{aimed:?}");
    let bad = run(&["health", "--cpu", "half"], &[]);
    assert!(bad.status.code() == Some(64) && bad.stderr.contains("write for example 0.5"), "{bad:?}");
}

#[test]
fn another_program_is_no_prometheus() {
    let server = crate::server::Server::start(&[]);
    let other = run(&["health", "--prometheus-url", &format!("http://{}", server.address)], &[]);
    assert!(other.status.code() == Some(2) && other.stderr.contains("404"), "{other:?}");
}
