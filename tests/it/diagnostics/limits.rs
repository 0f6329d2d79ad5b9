//! What is bounded: parameters, profiles at once, time.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Private, eventually};
use crate::client::{Answer, PATIENCE};

/// The longest profile. What ends sooner does not end by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// Has a client wait for a long profile of a kind, until a short one is refused because of it; returns the refusal too.
fn occupy(private: &Private, kind: &str, send: impl Fn() -> TcpStream) -> (TcpStream, Answer) {
    let started = Instant::now();
    let mut client = send();
    loop {
        let short = private.get(&format!("/debug/pprof/{kind}?seconds=0.01"));
        if short.status != 200 {
            return (client, short);
        }
        // Whoever comes first has the place, and that may have been the short one.
        client.set_nonblocking(true).unwrap();
        if client.peek(&mut [0]).is_ok() {
            client = send();
        }
        client.set_nonblocking(false).unwrap();
        assert!(started.elapsed() < PATIENCE);
    }
}

/// Asks for a short profile until it gets one, which must be before the long one is over.
fn wait_until_free(private: &Private, started: Instant) {
    eventually(|| private.get("/debug/pprof/profile?seconds=0.01"), |answer| answer.status == 200);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn bad_parameters_are_refused_all_at_once() {
    let private = Private::start(&[]);
    let cases = [
        ("profile?seconds=61", "seconds", "up to 60"),
        ("profile?seconds=0", "seconds", "above 0"),
        ("profile?seconds=soon", "seconds", "above 0"),
        ("profile?hz=1000", "hz", "1 to 999"),
        ("profile?secs=1", "secs", "unknown parameter; known are seconds, hz"),
        ("profile?trace_id=xyz", "trace_id", "32 hexadecimal"),
        ("profile?trace_id=00000000000000000000000000000000", "trace_id", "not all 0"),
        ("profile?span_id=0af7", "span_id", "16 hexadecimal"),
        ("profile?since=10", "since", "duration"),
        ("profile?since=1m&seconds=1", "seconds", "since"),
        ("profile?format=gif", "format", "pprof, svg"),
        ("heap?gc=maybe", "gc", "0 or 1"),
        ("heap?seconds=61", "seconds", "up to 60"),
        ("allocs?hz=9", "hz", "unknown parameter"),
        ("goroutine?debug=3", "debug", "0, 1 or 2"),
        ("trace?seconds=100", "seconds", "up to 60"),
        ("trace?hz=9", "hz", "unknown parameter"),
        ("cmdline?x=1", "x", "unknown parameter"),
        ("?x=1", "x", "unknown parameter"),
    ];
    for (path, parameter, bound) in cases {
        let problem = private.get(&format!("/debug/pprof/{path}")).problem(400, "invalid_parameter");
        let fault = &problem["parameters"][0];
        assert_eq!(fault["parameter"], parameter, "{path}");
        assert!(fault["bound"].as_str().unwrap().contains(bound), "{path}: {fault}");
    }
    let problem = private.get("/debug/pprof/profile?seconds=61&hz=0&x=1&since=x").problem(400, "invalid_parameter");
    assert_eq!(problem["parameters"].as_array().unwrap().len(), 4);
    for id in ["0af7651916cd43dd8448eb211c80319", "zaf7651916cd43dd8448eb211c80319c", "%2e%2e", "%00", "%ff"] {
        let problem = private.get(&format!("/debug/traces/{id}")).problem(400, "invalid_parameter");
        let fault = &problem["parameters"][0];
        assert_eq!((fault["parameter"].as_str(), fault["value"].as_str()), (Some("trace_id"), Some(id)), "{id}");
    }
}

#[test]
fn two_at_once_of_a_kind_are_one_too_many() {
    let private = Private::start(&[]);
    for (kind, seconds) in [("profile", 4), ("trace", 4), ("goroutine", 4)] {
        let (mut first, refused) =
            occupy(&private, kind, || private.send("GET", &format!("/debug/pprof/{kind}?seconds={seconds}"), &[]));
        let problem = refused.problem(409, "profile_running");
        let left: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=seconds + 1).contains(&left), "{left}");
        assert_eq!(problem["retry_after_seconds"], left);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(kind) && detail.contains(&format!("{left} s")), "{detail}");
        // Another kind has its own place.
        assert_eq!(private.get("/debug/pprof/cmdline").status, 200);
        assert_eq!(Answer::read(&mut first).status, 200);
        assert_eq!(private.get(&format!("/debug/pprof/{kind}?seconds=0.01")).status, 200);
    }
}

#[test]
fn a_client_that_leaves_stops_its_profile() {
    let private = Private::start(&[]);
    let started = Instant::now();
    let (client, _) = occupy(&private, "profile", || private.send("GET", "/debug/pprof/profile?seconds=60", &[]));
    drop(client);
    wait_until_free(&private, started);
}

#[test]
fn a_client_that_leaves_unread_bytes_stops_its_profile_too() {
    let private = Private::start(&[]);
    let head = "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let started = Instant::now();
    let send = || crate::client::send(private.address, format!("{head}GET").as_bytes());
    let (client, _) = occupy(&private, "profile", send);
    drop(client);
    wait_until_free(&private, started);
}

#[test]
fn a_body_is_refused_where_nobody_reads_it() {
    let private = Private::start(&[]);
    for length in [("Content-Length", "5"), ("Transfer-Encoding", "chunked")] {
        let problem = private.ask("GET", "/debug/pprof/profile", &[length]).problem(413, "body_too_large");
        assert!(problem["detail"].as_str().unwrap().contains("address"), "{problem}");
    }
    assert_eq!(private.ask("GET", "/debug/pprof/", &[("Content-Length", "0")]).status, 200);
}

#[test]
fn a_blocked_service_is_still_profiled() {
    let private = Private::start(&[]);
    // Every worker is busy, and so is every request.
    let mut busy: Vec<_> = (0..8)
        .map(|_| {
            crate::client::send(
                private.server.address,
                b"GET /api/work?loop_iterations=10000000000 HTTP/1.1\r\nHost: lab\r\n\r\n",
            )
        })
        .collect();
    assert_eq!(private.get("/debug/pprof/profile?seconds=0.2").status, 200);
    busy.clear();
}

#[test]
fn the_end_of_the_service_ends_a_profile_early_and_gives_it_away() {
    // The profile is turned into names within the time of the stop, which takes long on a busy machine.
    let private = Private::start(&[("PHASELAB_SHUTDOWN_TIMEOUT", "100s")]);
    let started = Instant::now();
    let (mut long, _) = occupy(&private, "profile", || private.send("GET", "/debug/pprof/profile?seconds=60", &[]));
    private.server.signal("TERM");
    let answer = Answer::read(&mut long);
    assert_eq!(answer.status, 200);
    assert_eq!(&answer.bytes[..2], [0x1f, 0x8b]);
    let (status, _) = private.server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn a_taken_port_is_named_with_the_variable_that_moves_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("HOME", "/nowhere"), ("PHASELAB_LISTEN", "127.0.0.1:0")];
    let finished = crate::server::run(&["serve", "--diagnostics-listen", &address], &variables);
    assert_eq!(finished.status.code(), Some(1));
    for part in [address.as_str(), "PHASELAB_DIAGNOSTICS_LISTEN", "off"] {
        assert!(finished.stderr.contains(part), "{finished:?}");
    }
}

#[test]
fn off_is_off() {
    let server = crate::server::Server::start(&[("PHASELAB_DIAGNOSTICS_LISTEN", "off")]);
    assert_eq!(server.get("/debug/pprof/").status, 404);
    assert_eq!(server.log.count("diagnostics are listening"), 0);
}
