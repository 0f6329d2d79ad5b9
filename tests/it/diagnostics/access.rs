//! Who is refused, and what they are told.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use phaselab::config::Config;
use phaselab::diagnostics::{Diagnostics, Sources};
use phaselab::telemetry;

use super::{Private, outside, send_to};
use crate::client::{Answer, PATIENCE};
use crate::server::run;

const TOKEN: &str = "correct-horse-battery";
const WITH_TOKEN: (&str, &str) = ("PHASELAB_DIAGNOSTICS_TOKEN", TOKEN);
const EVERYWHERE: (&str, &str) = ("PHASELAB_DIAGNOSTICS_LISTEN", "0.0.0.0:0");
const BEARER: (&str, &str) = ("Authorization", "Bearer correct-horse-battery");

/// What the refusal says.
fn detail(answer: &Answer, status: u16, error_type: &str) -> String {
    answer.problem(status, error_type)["detail"].as_str().unwrap().to_owned()
}

/// Without the configuration's check that forbids it: the server itself refuses too.
#[test]
fn other_machines_are_refused() {
    let Some(outside) = outside() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let env = HashMap::from([("HOME", "/"), ("OTEL_SDK_DISABLED", "true"), ("PHASELAB_DIAGNOSTICS_PEERS", "none")]);
    let (config, _) = Config::read(&env, &[]).unwrap();
    let (telemetry, guard) = telemetry::start(&config).unwrap();
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = config.diagnostics.clone().unwrap();
    let sources = Sources::new(Err("not needed".into()));
    let diagnostics = Diagnostics::start(listener, &config, &to, &telemetry, sources).unwrap();
    let ask = |from: IpAddr| {
        let host = format!("{from}:{port}");
        Answer::read(&mut send_to(SocketAddr::new(from, port), "GET", "/debug/pprof/", &[("Host", &host)]))
    };
    assert_eq!(ask([127, 0, 0, 1].into()).status, 200);
    let refused = detail(&ask(outside), 403, "peer_not_allowed");
    assert!(refused.contains("ssh -L") && refused.contains("PHASELAB_DIAGNOSTICS_TOKEN_FILE"), "{refused}");
    // Who only holds connections gets few: one more is closed without a word.
    let started = Instant::now();
    loop {
        let address = SocketAddr::new(outside, port);
        let _silent: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut closed = send_to(address, "GET", "/debug/pprof/", &[]);
        let mut answer = Vec::new();
        let _ = closed.read_to_end(&mut answer);
        if answer.is_empty() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(ask([127, 0, 0, 1].into()).status, 200);
    diagnostics.stop().unwrap();
    drop(guard.stop(config.shutdown_timeout));
}

#[test]
fn the_opt_out_lets_private_addresses_in_and_no_others() {
    let Some(outside @ IpAddr::V4(v4)) = outside() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let private = Private::start(&[EVERYWHERE, ("PHASELAB_DIAGNOSTICS_OPEN", "loopback-published")]);
    assert_eq!(private.get("/debug/pprof/").status, 200);
    let address = SocketAddr::new(outside, private.address.port());
    let answer = Answer::read(&mut send_to(address, "GET", "/debug/pprof/", &[]));
    if v4.is_private() {
        assert_eq!(answer.status, 200);
    } else {
        let refused = detail(&answer, 403, "peer_not_allowed");
        assert!(refused.contains("127.0.0.1:6060:6060"), "{refused}");
    }
}

#[test]
fn a_token_is_needed_from_everywhere() {
    let private = Private::start(&[EVERYWHERE, WITH_TOKEN]);
    let wrong = [("Authorization", "Bearer correct-horse-batterY")];
    let addresses = [Some(IpAddr::from([127, 0, 0, 1])), outside()];
    for from in addresses.into_iter().flatten() {
        let address = SocketAddr::new(from, private.address.port());
        let ask = |headers: &[_]| Answer::read(&mut send_to(address, "GET", "/debug/pprof/cmdline", headers));
        for headers in [&[][..], &wrong] {
            let answer = ask(headers);
            let refused = detail(&answer, 401, "token_required");
            assert!(refused.contains("Authorization: Bearer") && !refused.contains("correct"), "{refused}");
            let challenges = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
            assert_eq!(challenges.count(), 2);
        }
        assert_eq!(ask(&[BEARER]).status, 200);
        // The password of an address, as go tool pprof and browsers send it.
        assert_eq!(ask(&[("Authorization", "Basic OmNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==")]).status, 200);
    }
    let in_url = private.get(&format!("/debug/pprof/cmdline?token={TOKEN}"));
    let refused = detail(&in_url, 400, "invalid_parameter");
    assert!(refused.contains("histories") && !in_url.body.contains(TOKEN), "{refused}");
}

#[test]
fn a_token_comes_from_a_file_that_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = ("PHASELAB_DIAGNOSTICS_TOKEN_FILE", path.to_str().unwrap());
    let private = Private::start(&[file]);
    private.get("/debug/pprof/").problem(401, "token_required");
    assert_eq!(private.ask("GET", "/debug/pprof/", &[BEARER]).status, 200);

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in ["serve", "check"] {
        let finished = run(&[command], &[("HOME", "/nowhere"), file]);
        assert_eq!(finished.status.code(), Some(64), "{finished:?}");
        assert!(finished.stderr.contains("mode is 644") && finished.stderr.contains("chmod 600"), "{finished:?}");
    }
}

#[test]
fn what_others_could_reach_does_not_start_without_a_token() {
    for command in ["serve", "check"] {
        let finished = run(&[command, "--diagnostics-listen", "0.0.0.0:6060"], &[("HOME", "/nowhere")]);
        assert_eq!(finished.status.code(), Some(64), "{finished:?}");
        for part in ["--diagnostics-listen=\"0.0.0.0:6060\"", "PHASELAB_DIAGNOSTICS_TOKEN_FILE", "loopback-published"] {
            assert!(finished.stderr.contains(part), "{finished:?}");
        }
    }
}

#[test]
fn names_of_strangers_are_refused() {
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_HOSTS", "lab.example")]);
    for host in ["rebound.example:6060", "localhost.rebound.example", ""] {
        let answer = private.ask("GET", "/debug/pprof/heap", &[("Host", host)]);
        let refused = detail(&answer, 421, "host_not_allowed");
        assert!(refused.contains("localhost"), "{refused}");
    }
    for host in ["localhost:';id;'", "localhost:$(id)", "localhost:65536"] {
        let answer = private.ask("GET", "/debug/pprof/", &[("Host", host)]);
        let refused = detail(&answer, 421, "host_not_allowed");
        assert!(refused.contains("is no number"), "{refused}");
    }
    for host in ["lab.example", "LAB.example:6060", "127.0.0.1:6060", "[::1]:6060"] {
        assert_eq!(private.ask("GET", "/debug/pprof/", &[("Host", host)]).status, 200, "{host}");
    }
    let twice = private.ask("GET", "/debug/pprof/", &[("Host", "localhost"), ("Host", "rebound.example")]);
    assert!(twice.status == 421 || twice.status == 400, "{twice:?}");
}

#[test]
fn pages_of_other_sites_are_refused() {
    let private = Private::start(&[]);
    for method in ["POST", "DELETE"] {
        for origin in ["http://evil.example", "http://localhost:8080", "null"] {
            let answer = private.ask(method, "/debug/pprof/symbol", &[("Origin", origin)]);
            let refused = detail(&answer, 403, "origin_not_allowed");
            assert!(refused.contains(origin), "{refused}");
        }
        let answer = private.ask(method, "/debug/pprof/symbol", &[("Sec-Fetch-Site", "cross-site")]);
        answer.problem(403, "origin_not_allowed");
    }
    // Ours, and programs.
    for headers in [&[("Origin", "http://localhost:6060"), ("Sec-Fetch-Site", "same-origin")][..], &[]] {
        private.ask("POST", "/debug/pprof/symbol", headers).problem(501, "not_supported");
        private.ask("DELETE", "/debug/pprof/symbol", headers).problem(405, "method_not_allowed");
    }
    // An image on a page of somebody else must not take a profile; a link may.
    let image = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")];
    private.ask("GET", "/debug/pprof/profile?seconds=60", &image).problem(403, "origin_not_allowed");
    let script = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    private.ask("GET", "/debug/spans", &script).problem(403, "origin_not_allowed");
    let click = [&script[..], &[("Sec-Fetch-User", "?1")]].concat();
    assert_eq!(private.ask("GET", "/debug/spans", &click).status, 200);
    assert_eq!(private.ask("GET", "/debug/pprof/profile?since=10m", &click).status, 200);
    private.ask("GET", "/debug/pprof/profile", &click).problem(403, "origin_not_allowed");
    private.ask("GET", "/debug/spans", &[("Origin", "http://evil.example")]).problem(403, "origin_not_allowed");
}

#[test]
fn refusals_are_counted_by_reason() {
    let private = Private::start(&[]);
    private.ask("GET", "/debug/pprof/", &[("Host", "rebound.example")]).problem(421, "host_not_allowed");
    private.get("/debug/pprof/profile?hz=0").problem(400, "invalid_parameter");
    private.get("/debug/pprof/profile?hz=0").problem(400, "invalid_parameter");
    private.get("/debug/nothing").problem(404, "not_found");
    private.ask("GET", "/debug/pprof/", &[("Origin", "null")]).problem(403, "origin_not_allowed");
    private.ask("GET", "/debug/pprof/", &[("Origin", "null")]).problem(403, "origin_not_allowed");
    for (reason, count) in [("host_not_allowed", "1"), ("origin_not_allowed", "2")] {
        let series = private.server.series(&["profiler_refused_total", &format!("reason=\"{reason}\"")]);
        assert!(series.len() == 1 && series[0].ends_with(&format!(" {count}")), "{series:?}");
    }
    // Mistakes are no refusals.
    let counted = private.server.series(&["profiler_refused_total"]);
    assert_eq!(counted.iter().filter(|line| !line.ends_with(" 0")).count(), 2, "{counted:?}");
}

#[test]
fn go_tool_pprof_is_told_in_the_form_that_it_shows() {
    let private = Private::start(&[WITH_TOKEN]);
    let answer = private.ask("GET", "/debug/pprof/profile", &[("User-Agent", "Go-http-client/1.1")]);
    assert_eq!((answer.status, answer.header("x-go-pprof")), (401, Some("1")));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(answer.body.starts_with("no token was shown"), "{answer:?}");
}
