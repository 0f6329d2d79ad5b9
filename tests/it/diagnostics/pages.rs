//! What people see.

use super::Private;

#[test]
fn every_path_answers() {
    let private = Private::start(&[]);
    // So that no answer is empty.
    private.server.get("/api/work?loop_iterations=20000000");
    for (path, status, content_type) in [
        ("/debug/pprof/", 200, "text/html; charset=utf-8"),
        ("/debug/pprof/profile?seconds=0.05", 200, "application/octet-stream"),
        ("/debug/pprof/profile?since=10m", 200, "application/octet-stream"),
        ("/debug/pprof/profile?seconds=0.05&debug=1", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/profile?since=1m&format=svg", 200, "image/svg+xml"),
        ("/debug/pprof/profile?since=1m&format=json", 200, "application/json"),
        ("/debug/pprof/profile?since=1m&format=folded", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/heap", 200, "application/octet-stream"),
        ("/debug/pprof/heap?gc=1&debug=1", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/heap?seconds=0.05", 200, "application/octet-stream"),
        ("/debug/pprof/allocs", 200, "application/octet-stream"),
        ("/debug/pprof/allocs?seconds=0.05&format=svg", 200, "image/svg+xml"),
        ("/debug/pprof/goroutine", 200, "application/octet-stream"),
        ("/debug/pprof/goroutine?debug=1", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/goroutine?debug=2", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/trace?seconds=0.05", 200, "application/octet-stream"),
        ("/debug/pprof/cmdline", 200, "text/plain; charset=utf-8"),
        ("/debug/pprof/block", 501, "application/problem+json"),
        ("/debug/pprof/mutex", 501, "application/problem+json"),
        ("/debug/pprof/threadcreate", 501, "application/problem+json"),
        ("/debug/pprof/symbol", 501, "application/problem+json"),
        ("/debug/pprof/nonsense", 404, "application/problem+json"),
        ("/debug/spans", 200, "text/html; charset=utf-8"),
        ("/debug/spans?format=json", 200, "application/json"),
        ("/debug/traces/0af7651916cd43dd8448eb211c80319c", 200, "text/html; charset=utf-8"),
        ("/debug/traces/0af7651916cd43dd8448eb211c80319c?format=json", 200, "application/json"),
        ("/debug/traces/0af7651916cd43dd8448eb211c80319c?format=svg", 404, "application/problem+json"),
        ("/debug/style.css", 200, "text/css; charset=utf-8"),
        ("/nothing", 404, "application/problem+json"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = private.ask(method, path, &[]);
            // What HEAD would have to take a profile for is only known after GET.
            let head = method == "HEAD" && status == 404 && path.contains("svg");
            assert_eq!(answer.status, if head { 200 } else { status }, "{method} {path}: {answer:?}");
            if !head {
                assert_eq!(answer.header("content-type"), Some(content_type), "{method} {path}");
            }
            assert_eq!(method == "HEAD", answer.bytes.is_empty(), "{method} {path}");
            // A length that is not known is not said.
            assert_ne!(answer.header("content-length"), Some("0"), "{method} {path}");
            for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
                assert_eq!(answer.header(name), Some(value), "{method} {path}");
            }
            assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"), "{path}");
        }
    }
    for path in ["/debug", "/debug/", "/debug/pprof", "/debug/traces/"] {
        let answer = private.get(path);
        assert_eq!(answer.status, 307, "{path}");
        assert!(answer.header("location").unwrap().starts_with("/debug/"), "{path}");
    }
    assert_eq!(private.get("/").header("location"), Some("/console/"));
    assert!(private.get("/debug/pprof/").body.contains("href=\"/console/\""));
}

#[test]
fn what_is_missing_says_why_and_what_else() {
    let private = Private::start(&[]);
    for name in ["block", "mutex", "threadcreate", "symbol"] {
        let problem = private.get(&format!("/debug/pprof/{name}")).problem(501, "not_supported");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(name) && detail.contains("Instead: "), "{detail}");
    }
}

#[test]
fn the_index_has_a_command_for_each_profile_with_the_clients_own_address() {
    let private = Private::start(&[]);
    let page = private.ask("GET", "/debug/pprof/", &[("Host", "127.0.0.1:7777")]).body;
    for path in ["profile?seconds=10", "profile?since=10m", "heap", "allocs?seconds=10", "goroutine"] {
        assert!(page.contains(&format!("'http://127.0.0.1:7777/debug/pprof/{path}'")), "{path}");
    }
    assert!(page.contains("phaselab profile --url 'http://127.0.0.1:7777' --seconds 10"), "{page}");
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("onclick"));
    // Every link of the page leads somewhere.
    let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    let ours: Vec<_> = links.filter(|link| link.starts_with('/')).collect();
    assert!(ours.len() > 8, "{ours:?}");
    for link in ours {
        let answer = private.ask("HEAD", &link, &[]);
        assert_eq!(answer.status, 200, "{link}");
    }
}

#[test]
fn commands_read_the_token_from_a_variable() {
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_TOKEN", "correct-horse-battery")]);
    let page = private.ask("GET", "/debug/pprof/", &[("Authorization", "Bearer correct-horse-battery")]).body;
    assert!(page.contains("&quot;http://:$TOKEN@localhost:6060/debug/pprof/heap&quot;"), "{page}");
    assert!(page.contains("--url 'http://localhost:6060' --token-file path/to/token --seconds 10"), "{page}");
    assert!(!page.contains("correct-horse"));
}

#[test]
fn a_flame_graph_has_its_own_origin_and_reaches_nothing() {
    let private = Private::start(&[]);
    private.server.get("/api/work?loop_iterations=20000000");
    let answer = private.get("/debug/pprof/profile?since=10m&format=svg");
    let policy = answer.header("content-security-policy").unwrap();
    for part in ["sandbox allow-scripts allow-modals;", "default-src 'none'", "script-src 'unsafe-inline'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(answer.body.contains("<svg"), "{}", answer.body);
    // As its script leaves the address when somebody searches and zooms.
    let marked = private.get("/debug/pprof/profile?since=10m&format=svg&s=check.*&x=0&y=69");
    assert_eq!(marked.status, 200);
}

#[test]
fn pages_reach_back_as_far_as_the_recorder() {
    let private = Private::start(&[("PHASELAB_PROFILER_WINDOW", "90s")]);
    private.server.get("/api/work?loop_iterations=20000000");
    let index = private.get("/debug/pprof/").body;
    let spans = private.get("/debug/spans").body;
    assert!(index.contains("profile?since=1m30s&amp;format=svg"), "{index}");
    assert!(spans.contains("since=1m30s&amp;span=cpu_loop&amp;format=svg"), "{spans}");
    assert!(!index.contains("since=10m") && !spans.contains("since=10m"));
}
