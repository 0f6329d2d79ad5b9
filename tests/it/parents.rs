//! `traceparent` as the W3C recommendation has it. Catches: parents that are ignored, and broken ones that are taken.

use crate::server::Server;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn trace_with(server: &Server, parents: &[&str]) -> String {
    let headers: Vec<_> = parents.iter().map(|parent| ("traceparent", *parent)).collect();
    let answer = server.request("GET", "/api/null", &headers);
    assert_eq!(answer.status, 200);
    let (trace, span) = answer.trace();
    assert!(trace.len() == 32 && span.len() == 16 && span != SPAN);
    trace
}

#[test]
fn a_valid_parent_is_continued() {
    let server = Server::start(&[]);
    for parent in [
        format!("00-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-00"),
        format!("00-{TRACE}-{SPAN}-ff"),
        format!("01-{TRACE}-{SPAN}-01-more"),
    ] {
        assert_eq!(trace_with(&server, &[&parent]), TRACE, "{parent}");
    }
}

#[test]
fn a_broken_parent_starts_a_new_trace() {
    let server = Server::start(&[]);
    let good = format!("00-{TRACE}-{SPAN}-01");
    let broken = [
        "".to_owned(),
        "garbage".to_owned(),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("{good}-"),
        format!("{good}{}", "0".repeat(5_000)),
        format!("00-0{TRACE}-{SPAN}-01"),
    ];
    for parent in broken {
        assert_ne!(trace_with(&server, &[&parent]), TRACE, "{parent}");
    }
    assert_ne!(trace_with(&server, &[&good, &good]), TRACE);
}

#[test]
fn every_answer_of_a_traced_route_names_its_span() {
    let server = Server::start(&[]);
    for path in ["/", "/api/work", "/api/work?items=x", "/api/work?fail=cpu_loop", "/api/null", "/nothing"] {
        server.get(path).trace();
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(server.get(path).header("traceresponse"), None, "{path}");
    }
}

#[test]
fn parents_can_be_ignored() {
    let server = Server::start(&[("OTEL_PROPAGATORS", "none")]);
    assert_ne!(trace_with(&server, &[&format!("00-{TRACE}-{SPAN}-01")]), TRACE);
}
