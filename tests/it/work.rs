//! `/api/work` does what its parameters say. Catches: phases that are skipped, durations in other units, checksums that
//! depend on anything but the iterations.

use crate::server::Server;

#[test]
fn the_answer_tells_what_was_done() {
    let server = Server::start(&[]);
    let answer = server.get("/api/work?db_ms=20&loop_iterations=1000&items=3");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let work = answer.json();
    assert_eq!(work["trace_id"], answer.trace().0);
    assert_eq!((&work["items"], &work["loop_iterations"]), (&3.into(), &1000.into()));
    let seconds = |section: &str| work["section_seconds"][section].as_f64().unwrap();
    assert!((0.02..10.0).contains(&seconds("db_query")), "{work}");
    assert!(seconds("cpu_loop") > 0.0 && seconds("json_encode") > 0.0);
    let payload = work["payload"].as_array().unwrap();
    assert_eq!(payload.len(), 3);
    let prices: Vec<_> = payload.iter().map(|row| row["price_cents"].as_i64().unwrap()).collect();
    assert!(prices.is_sorted(), "{prices:?}");
}

#[test]
fn the_checksum_depends_on_the_iterations_alone() {
    let (one, other) = (Server::start(&[]), Server::start(&[]));
    let checksum = |server: &Server, query: &str| {
        let work = server.get(&format!("/api/work?{query}")).json();
        work["loop_checksum"].as_str().unwrap().to_owned()
    };
    let first = checksum(&one, "loop_iterations=12345&items=0");
    assert_eq!(first, checksum(&one, "loop_iterations=12345&items=7&db_ms=1"));
    assert_eq!(first, checksum(&other, "loop_iterations=12345"));
    assert_ne!(first, checksum(&one, "loop_iterations=12346"));
    assert_eq!(first.len(), 16);
}

#[test]
fn all_rows_can_be_asked_for_and_head_answers_without_them() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/api/work?items=10000").json()["payload"].as_array().unwrap().len(), 10_000);
    let head = server.request("HEAD", "/api/work?items=1", &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn a_phase_fails_on_purpose() {
    let server = Server::start(&[]);
    for section in ["db_query", "cpu_loop", "json_encode"] {
        let answer = server.get(&format!("/api/work?fail={section}"));
        let problem = answer.problem(500, "injected_failure");
        assert!(problem["detail"].as_str().unwrap().contains(section));
        assert_eq!(problem["trace_id"], answer.trace().0);
    }
}

#[test]
fn a_file_is_created_seeded_once_and_shared() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/folder/lab.db");
    let variables = [("PHASELAB_DATABASE", file.to_str().unwrap())];
    let payload = |server: &Server| server.get("/api/work?items=50").json()["payload"].clone();
    let (one, other) = (Server::start(&variables), Server::start(&variables));
    let rows = payload(&one);
    assert_eq!(rows, payload(&other));
    assert_eq!(rows, payload(&Server::start(&[])));
    one.stop();
    other.stop();
    assert_eq!(rows, payload(&Server::start(&variables)));
}
