//! Profiles at Go's paths.

use serde_json::Value;

use super::{Private, eventually};
use crate::client::Answer;

#[test]
fn headers_are_gos() {
    let private = Private::start(&[]);
    for (path, name) in [
        ("profile?seconds=0.05", "profile"),
        ("heap", "heap"),
        ("heap?seconds=0.05", "heap-delta"),
        ("allocs", "allocs"),
        ("goroutine", "goroutine"),
        ("trace?seconds=0.05", "trace"),
    ] {
        let answer = private.get(&format!("/debug/pprof/{path}"));
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(answer.header("content-disposition"), Some(disposition.as_str()), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{path}");
        if name != "trace" {
            assert_eq!(&answer.bytes[..2], [0x1f, 0x8b], "gzip, as Go sends: {path}");
            // Compressed by itself, not for the way.
            assert_eq!(answer.header("content-encoding"), None, "{path}");
        }
    }
    let text = private.get("/debug/pprof/goroutine?debug=1");
    assert_eq!(text.header("content-disposition"), None);
}

#[test]
fn the_command_line_is_separated_by_nul() {
    let private = Private::start(&[]);
    let line = private.get("/debug/pprof/cmdline").body;
    assert!(line.split('\0').next().unwrap().ends_with("phaselab"), "{line:?}");
}

/// The first span that has a name: turning addresses into names costs too, outside of any span.
fn hottest(top: &Value) -> Value {
    let spans = top["spans"].as_array().unwrap();
    spans.iter().find(|span| span["name"] != "").cloned().unwrap_or_default()
}

#[test]
fn a_profile_names_the_hot_span_and_its_function() {
    let private = Private::start(&[]);
    let take = || private.get("/debug/pprof/profile?seconds=2&hz=199&format=json");
    std::thread::scope(|scope| {
        // On a busy machine the service may have had next to no time on a core meanwhile.
        let profile = scope.spawn(|| eventually(take, |taken| hottest(&taken.json())["name"] == "cpu_loop").json());
        while !profile.is_finished() {
            private.server.get("/api/work?loop_iterations=5000000");
        }
        let top = profile.join().unwrap();
        assert_eq!((top["kind"].as_str(), top["unit"].as_str()), (Some("cpu"), Some("nanoseconds")));
        let hot = hottest(&top);
        // The first one in a release; in a debug build the loop's own steps are functions too.
        let functions = hot["functions"].as_array().unwrap();
        assert!(functions.iter().any(|function| function["name"].as_str().unwrap().contains("checksum")), "{top}");
    });
    // After the fact, from the recorder: one span, a whole request, nothing.
    let of = |query: &str| private.get(&format!("/debug/pprof/profile?since=5m&format=json&{query}")).json();
    let names = |top: &Value| -> Vec<_> {
        top["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&of("span=cpu_loop")), ["cpu_loop"]);
    let request = names(&of("span=GET%20%2Fapi%2Fwork"));
    assert!(request.contains(&"cpu_loop".to_owned()), "{request:?}");
    assert_eq!(names(&of("span=nobody")), [""; 0]);
    let spans = private.get("/debug/spans?format=json").json();
    let hot = hottest(&spans);
    assert_eq!(hot["name"], "cpu_loop", "{spans}");
    assert!(hot["share"].as_f64().unwrap() > 0.05, "{spans}");
    let page = private.get("/debug/spans").body;
    assert!(page.contains("span=cpu_loop&amp;format=svg"), "{page}");
    for (metric, parts) in [
        ("profiler_samples_total", &[][..]),
        ("profiler_recorder_bytes", &[]),
        ("profiler_profiles_total", &["kind=\"cpu\""]),
        ("profiler_profiles_total", &["kind=\"recorded\""]),
    ] {
        let series = private.server.series(&[&[metric], parts].concat());
        let value: f64 = series[0].rsplit(' ').next().unwrap().parse().unwrap();
        assert!(series.len() == 1 && value > 0.0, "{series:?}");
    }
}

#[test]
fn without_a_recorder_the_past_is_refused_and_the_present_is_not() {
    let private = Private::start(&[("PHASELAB_PROFILER_HZ", "0")]);
    for path in ["pprof/profile?since=1m", "spans", "pprof/profile?trace_id=0af7651916cd43dd8448eb211c80319c"] {
        let problem = private.get(&format!("/debug/{path}")).problem(501, "not_supported");
        assert!(problem["detail"].as_str().unwrap().contains("PHASELAB_PROFILER_HZ"), "{problem}");
    }
    assert_eq!(private.get("/debug/pprof/profile?seconds=0.05").status, 200);
    assert_eq!(private.get("/debug/pprof/").status, 200);
    let page = private.get("/debug/traces/0af7651916cd43dd8448eb211c80319c");
    assert!(page.status == 200 && page.body.contains("PHASELAB_PROFILER_HZ"), "{page:?}");
}

#[test]
fn tasks_have_names_and_say_where_they_wait() {
    let private = Private::start(&[]);
    // It is still waiting when the test ends.
    let _slow = crate::client::send(
        private.server.address,
        crate::client::head("GET", "/api/work?db_ms=60000", &[]).as_bytes(),
    );
    private.server.wait_until_busy();
    // A dump waits for the tasks for a limited time only, and on a busy machine they may answer later.
    let shows = |debug: u8, parts: &[&str]| {
        let has_all = |answer: &Answer| parts.iter().all(|part| answer.body.contains(part));
        eventually(|| private.get(&format!("/debug/pprof/goroutine?debug={debug}")), has_all);
    };
    shows(2, &["\"connection\"", "\"signals\"", "\"diagnostics connection\"", "tokio::time::sleep"]);
    shows(1, &["\"connection\": 1"]);
    let top = private.get("/debug/pprof/goroutine?format=json").json();
    assert_eq!(top["kind"], "goroutine", "{top}");
    assert!(top["total"].as_i64().unwrap() >= 2, "{top}");
}
