//! From an exemplar to what its request did.

use super::links;
use crate::diagnostics::Private;

#[test]
fn an_exemplar_leads_to_the_phases_of_its_request_and_to_their_profile() {
    let private = Private::start(&[]);
    let (trace_id, _) = private.server.get("/api/work?db_ms=0&loop_iterations=20000000&items=1").trace();
    let address = format!("/console/trace/{trace_id}");
    let histogram = "/console/histogram?metric=section.duration&section=cpu_loop";
    private.page(histogram, |page| links(page).contains(&address));
    // The request itself ends last, and its CPU time is known some time after it was used.
    let profiled = |page: &str| links(page).iter().any(|link| link.contains("&span_id="));
    let page = private.page(&address, |page| page.contains("GET /api/work") && profiled(page));
    for section in ["db_query", "cpu_loop", "json_encode"] {
        assert!(page.contains(section), "{section}: {page}");
    }
    let named =
        |row: &str| row.contains("An exemplar names this span") && row.contains("section.duration</a> cpu_loop");
    assert!(page.split("<li ").any(named), "{page}");
    assert!(page.contains("rect class=\"path\"") && !page.contains("style=") && !page.contains("onclick"), "{page}");
    let addresses = links(&page);
    assert!(addresses.contains(&format!("/debug/traces/{trace_id}")));
    for link in addresses.iter().filter(|link| link.starts_with('/')) {
        assert_eq!(private.get(link).status, 200, "{link}");
    }
    let found = addresses.iter().find(|link| link.starts_with("/console/search?name=cpu_loop&")).unwrap();
    assert!(private.get(found).body.contains(&address), "a span is like itself: {found}");

    let view = private.console(&format!("trace/{trace_id}"), |view| view["cpu_ns"].as_u64().is_some());
    assert_eq!(view["trace_id"], *trace_id);
    let spans = view["spans"].as_array().unwrap();
    let root = &spans[usize::try_from(view["root"].as_u64().unwrap()).unwrap()];
    assert_eq!((&root["name"], &root["kind"], &root["depth"]), (&"GET /api/work".into(), &"server".into(), &0.into()));
    let looped = spans.iter().find(|span| span["name"] == "cpu_loop").unwrap();
    assert_eq!(looped["sampled"], true);
    assert!(looped["busy_ns"].as_u64().unwrap() > 0, "{looped}");
    // The parts of the critical path are as long as the request.
    let parts = spans.iter().flat_map(|span| span["critical"].as_array().unwrap());
    let total: u64 = parts.map(|part| part[1].as_u64().unwrap() - part[0].as_u64().unwrap()).sum();
    assert_eq!(total, root["duration_ns"].as_u64().unwrap());
}

#[test]
fn errors_are_seen_and_what_clients_send_is_text() {
    let private = Private::start(&[]);
    let hostile = "<script>alert(1)</script>\"'&";
    let headers = [("user-agent", hostile)];
    let (trace_id, _) = private.server.request("GET", "/api/work?fail=cpu_loop", &headers).trace();
    private.console(&format!("trace/{trace_id}"), |view| view["spans"][0]["name"] == "GET /api/work");
    let page = private.get(&format!("/console/trace/{trace_id}")).body;
    assert!(page.contains("with an error") && page.contains("rect class=\"time failed\""), "{page}");
    assert!(!page.contains("<script>"), "{page}");
}

#[test]
fn what_is_not_here_is_explained() {
    let private = Private::start(&[]);
    let unknown = "0af7651916cd43dd8448eb211c80319c";
    let page = private.get(&format!("/console/trace/{unknown}"));
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(
        page.body.contains(unknown) && page.body.contains("was not sampled") && page.body.contains("Another process")
    );
    for link in links(&page.body).iter().filter(|link| link.starts_with('/')) {
        assert_eq!(private.get(link).status, 200, "{link}");
    }
    private.get(&format!("/console/api/trace/{unknown}")).problem(404, "not_found");
    for wrong in ["x", "0af7651916cd43dd8448eb211c80319", "00000000000000000000000000000000", "%3Cscript%3E", "%ff"] {
        for path in ["/console/trace", "/console/api/trace"] {
            let document = private.get(&format!("{path}/{wrong}")).problem(400, "invalid_parameter");
            assert!(document["parameters"][0]["bound"].as_str().unwrap().contains("32 hexadecimal digits"));
        }
    }
    private.ask("POST", &format!("/console/trace/{unknown}"), &[]).problem(405, "method_not_allowed");
}
