//! From a trace that is over to its profile, here or in another process.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use serde_json::Value;

use super::{Private, eventually, outside};
use crate::client::{Answer, PATIENCE};

const UNKNOWN: &str = "0af7651916cd43dd8448eb211c80319c";

/// A request with some tenths of a second in the loop; its trace has samples soon.
fn hot_trace(private: &Private) -> String {
    private.server.get("/api/work?loop_iterations=20000000").trace().0
}

/// The trace's document, once it has samples.
fn wait_for_samples(private: &Private, trace: &str) -> Value {
    let started = Instant::now();
    loop {
        let view = private.get(&format!("/debug/traces/{trace}?format=json")).json();
        if view["samples"].as_u64().unwrap() > 0 {
            return view;
        }
        assert!(started.elapsed() < PATIENCE, "{view}");
    }
}

/// A request that is over between two samples, as most of such are.
fn cold_trace(private: &Private) -> String {
    let started = Instant::now();
    loop {
        let trace = private.server.get("/api/work?loop_iterations=0&items=0").trace().0;
        if private.get(&format!("/debug/traces/{trace}?format=json")).json()["samples"] == 0 {
            return trace;
        }
        assert!(started.elapsed() < PATIENCE);
    }
}

/// The answer about a trace once the peers, who have 2 s each, have said what they know.
fn ask_peers(private: &Private, trace: &str, format: &str, good: impl Fn(&Answer) -> bool) -> Answer {
    eventually(|| private.get(&format!("/debug/traces/{trace}{format}")), good)
}

#[test]
fn a_past_trace_has_its_profile() {
    let private = Private::start(&[]);
    let trace = hot_trace(&private);
    hot_trace(&private);
    let view = wait_for_samples(&private, &trace);
    assert_eq!(view["trace_id"], trace);
    assert_eq!(view["spans"][0]["name"], "cpu_loop", "{view}");
    // The first one in a release; in a debug build the loop's own steps are functions too.
    let functions = view["functions"].as_array().unwrap();
    assert!(functions.iter().any(|function| function["name"].as_str().unwrap().contains("checksum")), "{view}");
    assert!(view.get("why").is_none() && view.get("peer").is_none(), "{view}");
    let span = view["spans"][0]["span_id"].as_str().unwrap();

    let page = private.get(&format!("/debug/traces/{trace}")).body;
    for part in [
        format!("src=\"/debug/traces/{trace}?format=svg\""),
        format!("go tool pprof 'http://localhost:6060/debug/traces/{trace}?format=pprof'"),
        "cpu_loop".to_owned(),
        span.to_owned(),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    let svg = private.get(&format!("/debug/traces/{trace}?format=svg")).body;
    assert!(svg.contains("checksum"), "{svg}");
    let folded = private.get(&format!("/debug/traces/{trace}?format=folded")).body;
    assert!(folded.lines().all(|line| line.rsplit(' ').next().unwrap().parse::<u64>().is_ok()), "{folded}");
    assert_eq!(private.get(&format!("/debug/traces/{trace}?format=pprof")).bytes[..2], [0x1f, 0x8b]);
    // At Go's path: the trace, its hot span, and nothing else.
    for query in [format!("trace_id={trace}"), format!("span_id={span}"), format!("trace_id={trace}&span_id={span}")] {
        let top = private.get(&format!("/debug/pprof/profile?{query}&format=json")).json();
        assert!(top["total"].as_i64().unwrap() > 0, "{query}: {top}");
        let samples = private.get(&format!("/debug/pprof/profile?{query}&debug=1"));
        assert_eq!(samples.status, 200);
    }
    private.get(&format!("/debug/pprof/profile?trace_id={UNKNOWN}")).problem(404, "no_samples");
}

#[test]
fn a_trace_without_samples_is_explained() {
    let private = Private::start(&[]);
    hot_trace(&private);
    let fast = cold_trace(&private);
    let view = private.get(&format!("/debug/traces/{fast}?format=json")).json();
    assert_eq!(view["why"]["reason"], "too_short", "{view}");
    assert_eq!(view["why"]["name"], "GET /api/work", "{view}");
    let page = private.get(&format!("/debug/traces/{fast}")).body;
    for part in ["at 99 Hz there is one every 10.1 ms", "span=GET%20%2Fapi%2Fwork&amp;format=svg", "All spans"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Of such a name there is nothing at all, unless a sample fell into the only request.
    let pages = ["/api/null", "/", "/api/tasks", "/nothing"].map(|path| {
        let trace = private.server.get(path).trace().0;
        private.get(&format!("/debug/traces/{trace}")).body
    });
    let without = |page: &String| page.contains("No sample fell into any") && !page.contains("<iframe");
    assert!(pages.iter().any(without), "{pages:?}");
    let view = private.get(&format!("/debug/traces/{UNKNOWN}?format=json")).json();
    assert_eq!(view["why"]["reason"], "unknown", "{view}");
    let problem = private.get(&format!("/debug/traces/{fast}?format=pprof")).problem(404, "no_samples");
    assert!(problem["detail"].as_str().unwrap().contains("99 Hz"), "{problem}");
}

#[test]
fn a_trace_of_another_process_is_found_there() {
    let worker = Private::start(&[]);
    let trace = hot_trace(&worker);
    wait_for_samples(&worker, &trace);
    // A peer that is not there does not hinder.
    let base = format!("http://{}", worker.address);
    let peers = format!("http://127.0.0.1:9,{base}");
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &peers)]);
    let view = ask_peers(&private, &trace, "?format=json", |answer| answer.json()["peer"] == *base).json();
    assert_eq!(view["spans"][0]["name"], "cpu_loop", "{view}");
    let link = |trace: &str| format!("href=\"{base}/debug/traces/{trace}\"");
    ask_peers(&private, &trace, "", |page| page.body.contains(&link(&trace)));
    let svg = ask_peers(&private, &trace, "?format=svg", |svg| svg.status == 200);
    assert!(svg.body.contains("checksum"), "{}", svg.body);
    assert!(svg.header("content-security-policy").unwrap().contains("sandbox"));
    let pprof = ask_peers(&private, &trace, "?format=pprof", |pprof| pprof.status == 200);
    assert_eq!(pprof.bytes[..2], [0x1f, 0x8b]);
    // Nobody has it, and everybody was named, with what became of it.
    let outcomes =
        ["http://127.0.0.1:9</code>: cannot be reached.".to_owned(), format!("{base}</code>: it has no sample.")];
    ask_peers(&private, UNKNOWN, "", |page| outcomes.iter().all(|outcome| page.body.contains(outcome)));
    // Who knows why is believed, and named.
    let fast = cold_trace(&worker);
    let view = ask_peers(&private, &fast, "?format=json", |answer| answer.json()["peer"] == *base).json();
    assert_eq!(view["why"]["reason"], "too_short", "{view}");
    let page = ask_peers(&private, &fast, "", |page| page.body.contains(&link(&fast))).body;
    assert!(!page.contains("<iframe"), "{page}");
    let says = |answer: &Answer| {
        let problem = answer.problem(404, "no_samples");
        let detail = problem["detail"].as_str().unwrap();
        detail.contains("99 Hz") && detail.contains(&base)
    };
    ask_peers(&private, &fast, "?format=svg", says);
}

#[test]
fn what_became_of_asking_each_peer_is_said() {
    let closed: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let junk: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let peers = [
        (b"".as_slice(), "no answer in 2 s"),
        (NOT_FOUND, "refused: 404"),
        (closed, "refused: 401"),
        (junk, "cannot be read"),
    ]
    .map(|(answer, outcome)| (fake_peer(Ipv4Addr::LOCALHOST.into(), answer), outcome));
    let bases: Vec<_> = peers.iter().map(|((base, _), _)| base.as_str()).collect();
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &bases.join(","))]);
    ask_peers(&private, UNKNOWN, "?format=json", |answer| {
        let view = answer.json();
        let asked = view["asked"].as_array().unwrap();
        let of = |base: &str| asked.iter().find(|asked| asked["peer"] == base).unwrap()["outcome"].as_str().unwrap();
        peers.iter().all(|((base, _), outcome)| of(base).contains(outcome))
    });
    ask_peers(&private, UNKNOWN, "", |page| {
        peers
            .iter()
            .all(|((base, _), outcome)| page.body.contains(&format!("{base}</code>: ")) && page.body.contains(outcome))
    });
    // None of it is served as a profile.
    for format in ["svg", "pprof", "folded"] {
        private.get(&format!("/debug/traces/{UNKNOWN}?format={format}")).problem(404, "no_samples");
    }
}

#[test]
fn a_peer_decides_neither_the_trace_nor_its_address() {
    let answer = |view: &str| -> &'static [u8] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", view.len());
        Vec::leak([head.as_bytes(), view.as_bytes()].concat())
    };
    let evil =
        r#"{"trace_id":"';id;'","peer":"http://evil.example","samples":1,"cpu_seconds":1,"spans":[],"functions":[]}"#;
    let (base, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), answer(evil));
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &base)]);
    let view = ask_peers(&private, UNKNOWN, "?format=json", |answer| answer.json()["peer"] == *base).json();
    assert_eq!(view["trace_id"], UNKNOWN, "{view}");
    let command = format!("pprof 'http://localhost:6060/debug/traces/{UNKNOWN}?format=pprof'");
    let page = ask_peers(&private, UNKNOWN, "", |page| page.body.contains(&command)).body;
    assert!(!page.contains("id;") && !page.contains("evil"), "{page}");

    for bad in [
        r#"{"trace_id":"","samples":1,"cpu_seconds":-1,"spans":[],"functions":[]}"#,
        r#"{"trace_id":"","samples":1,"cpu_seconds":1e999,"spans":[],"functions":[]}"#,
        r#"{"trace_id":"","samples":0,"cpu_seconds":0,"spans":[],"functions":[]}"#,
        r#"{"trace_id":"","samples":1,"cpu_seconds":1,"spans":[],"functions":[{"name":"f","flat":-1,"cum":1}]}"#,
    ] {
        let (base, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), answer(bad));
        let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &base)]);
        let unreadable = |answer: &Answer| answer.json()["asked"][0]["outcome"] == "its answer cannot be read";
        ask_peers(&private, UNKNOWN, "?format=json", unreadable);
    }
}

/// A peer that answers with `answer`, and the heads of the requests that it got.
pub(crate) fn fake_peer(ip: IpAddr, answer: &'static [u8]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = vec![0; 4_096];
            let length = stream.read(&mut head).unwrap();
            let _ = sender.send(String::from_utf8_lossy(&head[..length]).to_lowercase());
            let _ = stream.write_all(answer);
            if answer.is_empty() {
                // Says nothing and holds on.
                std::mem::forget(stream);
            }
        }
    });
    (format!("http://{address}"), heads)
}

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn questions_go_one_hop_only() {
    let (base, heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), NOT_FOUND);
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &base)]);
    private.ask("GET", &format!("/debug/traces/{UNKNOWN}"), &[("Phaselab-Peer", "1")]);
    assert!(heads.try_recv().is_err(), "who is asked by a peer asks nobody");
    private.get(&format!("/debug/traces/{UNKNOWN}"));
    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.contains("phaselab-peer: 1") && head.starts_with(&format!("get /debug/traces/{UNKNOWN}?format=json")));
}

#[test]
fn the_token_goes_to_peers_on_this_machine_only() {
    let token = ("PHASELAB_DIAGNOSTICS_TOKEN", "correct-horse-battery");
    let bearer = ("Authorization", "Bearer correct-horse-battery");
    let (near, near_heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), NOT_FOUND);
    let far = outside().map(|ip| fake_peer(ip, NOT_FOUND));
    let peers = [Some(near), far.as_ref().map(|(base, _)| base.clone())];
    let peers: Vec<_> = peers.into_iter().flatten().collect();
    let private = Private::start(&[token, ("PHASELAB_DIAGNOSTICS_PEERS", &peers.join(","))]);
    private.ask("GET", &format!("/debug/traces/{UNKNOWN}"), &[bearer]);
    assert!(near_heads.recv_timeout(PATIENCE).unwrap().contains("authorization: bearer correct-horse-battery"));
    match far {
        Some((_, heads)) => assert!(!heads.recv_timeout(PATIENCE).unwrap().contains("authorization")),
        None => eprintln!("skipped: this machine has no address but loopback"),
    }
}

#[test]
fn peers_are_bounded_in_time_and_size_and_their_words_are_escaped() {
    let (silent, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), b"");
    let (endless, _more) =
        fake_peer(Ipv4Addr::LOCALHOST.into(), b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{");
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &format!("{silent},{endless}"))]);
    // There would be no answer otherwise.
    let view = private.get(&format!("/debug/traces/{UNKNOWN}?format=json")).json();
    assert_eq!(view["why"]["reason"], "unknown", "{view}");

    let evil = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"trace_id\":\"<script>alert(1)</script>\",\"samples\":1,\
        \"cpu_seconds\":1,\"spans\":[{\"span_id\":\"\\\"><img src=x>\",\"name\":\"<b>\",\"samples\":1,\"cpu_seconds\":1}],\
        \"functions\":[]}";
    let (evil, _heads) = fake_peer(Ipv4Addr::LOCALHOST.into(), evil);
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_PEERS", &evil)]);
    let page = ask_peers(&private, UNKNOWN, "", |page| page.body.contains(&evil)).body;
    for raw in ["<script", "<img", "<b>"] {
        assert!(!page.contains(raw), "{raw}: {page}");
    }
}
