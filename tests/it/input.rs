//! Bad input is answered, never suffered. Catches: faults reported one at a time, faults that reach the metrics as new
//! series, panics on bytes that libraries do not send.

use std::io::Write;

use crate::client::{Answer, head, send};
use crate::server::Server;

#[test]
fn every_bad_parameter_is_refused_with_name_value_and_bound() {
    let server = Server::start(&[]);
    let cases = [
        ("colour=blue", "colour", "blue", "known are db_ms, loop_iterations, items, fail"),
        ("db_ms=-1", "db_ms", "-1", "0 to 60000"),
        ("db_ms=NaN", "db_ms", "NaN", "0 to 60000"),
        ("db_ms=inf", "db_ms", "inf", "0 to 60000"),
        ("db_ms=60001", "db_ms", "60001", "0 to 60000"),
        ("db_ms=soon", "db_ms", "soon", "0 to 60000"),
        ("db_ms=", "db_ms", "", "0 to 60000"),
        ("loop_iterations=10000000001", "loop_iterations", "10000000001", "0 to 10000000000"),
        ("loop_iterations=99999999999999999999", "loop_iterations", "99999999999999999999", "0 to 10000000000"),
        ("loop_iterations=1.5", "loop_iterations", "1.5", "0 to 10000000000"),
        ("items=-0", "items", "-0", "0 to 10000"),
        ("items=4294967296", "items", "4294967296", "0 to 10000"),
        ("items=%2B1", "items", "+1", "0 to 10000"),
        ("items=+1", "items", " 1", "0 to 10000"),
        ("items=%31%3", "items", "%31%3", "hexadecimal"),
        ("items=%ff", "items", "%ff", "UTF-8"),
        ("items=1&items=2", "items", "2", "more than once"),
        ("fail=network", "fail", "network", "db_query, cpu_loop or json_encode"),
        ("%00=1", "\0", "1", "unknown parameter"),
    ];
    for (query, parameter, value, bound) in cases {
        let problem = server.get(&format!("/api/work?{query}")).problem(400, "invalid_parameter");
        let fault = &problem["parameters"][0];
        assert_eq!((&fault["parameter"], &fault["value"]), (&parameter.into(), &value.into()), "{query}");
        assert!(fault["bound"].as_str().unwrap().contains(bound), "{query}: {fault}");
    }
}

#[test]
fn all_faults_are_named_at_once() {
    let server = Server::start(&[]);
    let problem =
        server.get("/api/work?db_ms=x&items=x&loop_iterations=x&fail=x&x=x").problem(400, "invalid_parameter");
    let faults = problem["parameters"].as_array().unwrap();
    let mut names: Vec<_> = faults.iter().map(|fault| fault["parameter"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["db_ms", "fail", "items", "loop_iterations", "x"]);
}

#[test]
fn bad_input_makes_one_series_with_its_error_type() {
    let server = Server::start(&[]);
    for value in 0..20 {
        server.get(&format!("/api/work?items=bad{value}"));
    }
    let counts = server.series(&["http_server_request_duration_seconds_count", "invalid_parameter"]);
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert!(counts[0].contains("http_route=\"/api/work\"") && counts[0].ends_with(" 20"), "{counts:?}");
}

#[test]
fn unknown_routes_and_methods_make_no_series() {
    let server = Server::start(&[]);
    for number in 0..30 {
        server.get(&format!("/no/such/{number}")).problem(404, "not_found");
        server.request(&format!("METHOD{number}"), "/api/work", &[]).problem(405, "method_not_allowed");
    }
    let unknown = server.series(&["http_server_request_duration_seconds_count", "not_found"]);
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert!(!unknown[0].contains("http_route") && unknown[0].ends_with(" 30"), "{unknown:?}");
    let methods = server.series(&["http_server_request_duration_seconds_count", "method_not_allowed"]);
    assert_eq!(methods.len(), 1, "{methods:?}");
    assert!(methods[0].contains("http_request_method=\"_OTHER\"") && methods[0].ends_with(" 30"), "{methods:?}");
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let server = Server::start(&[]);
    for path in ["/api/work", "/metrics", "/"] {
        let answer = server.request("DELETE", path, &[]);
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn bytes_that_no_library_sends_do_not_hurt() {
    let server = Server::start(&[]);
    let mut attempts: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET /api/work HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /api/work?items=\xff\xfe HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET http://[::1 HTTP/1.1\r\nHost: lab\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET * HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".to_vec(),
        head("GET", &format!("/{}", "a".repeat(60_000)), &[]).into_bytes(),
        b"GET /api/work HTTP/1.1\r\nContent-Length: -5\r\n\r\n".to_vec(),
    ];
    attempts.push(head("GET", "/metrics", &[("Accept", "\u{7f}\u{80}")]).into_bytes());
    for bytes in attempts {
        let mut stream = send(server.address, &bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    }
    assert_eq!(server.get("/api/work?items=1").status, 200);
}

#[test]
fn a_body_is_read_past_up_to_the_limit() {
    let server = Server::start(&[("PHASELAB_MAX_BODY_BYTES", "1000")]);
    let with_body = |length: usize| {
        let head = head("GET", "/api/null", &[("Content-Length", &length.to_string())]);
        Answer::read(&mut send(server.address, &[head.as_bytes(), &vec![b'x'; length]].concat()))
    };
    assert_eq!(with_body(1000).status, 200);
    let problem = with_body(1001).problem(413, "body_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("1000 bytes"));

    // In chunks nothing is announced.
    let chunks = |count: usize| {
        let mut stream = send(server.address, head("GET", "/api/null", &[("Transfer-Encoding", "chunked")]).as_bytes());
        for _ in 0..count {
            let _ = stream.write_all(format!("64\r\n{}\r\n", "y".repeat(100)).as_bytes());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        Answer::read(&mut stream)
    };
    assert_eq!(chunks(10).status, 200);
    chunks(11).problem(413, "body_too_large");

    let mut stream = send(server.address, head("GET", "/api/null", &[("Transfer-Encoding", "chunked")]).as_bytes());
    stream.write_all(b"what?\r\n").unwrap();
    Answer::read(&mut stream).problem(400, "unreadable_body");
}
