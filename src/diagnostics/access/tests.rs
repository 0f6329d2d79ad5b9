use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::config::diagnostics::TokenSource;

const TOKEN: &str = "0123456789abcdef";

fn access(token: bool, open: bool) -> Access {
    Access {
        token: token.then(|| Token::new(TOKEN, TokenSource::Variable).unwrap()),
        open,
        hosts: vec!["lab.example".to_owned(), "10.9.9.9".to_owned()],
        listen: "0.0.0.0".parse().unwrap(),
    }
}

/// What becomes of a request; headers besides `Host: localhost` are added, or take its place.
fn verdict(access: &Access, peer: &str, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), Kind> {
    let mut map = HeaderMap::new();
    map.insert(header::HOST, HeaderValue::from_static("localhost:6060"));
    for (name, value) in headers {
        map.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let ends = Ends { peer: SocketAddr::new(peer.parse().unwrap(), 1), local: "10.1.2.3:6060".parse().unwrap() };
    let checked = access.check(&method.parse().unwrap(), &uri.parse().unwrap(), &map, ends);
    checked.map_err(|problem| {
        assert!(problem.detail().contains(':'), "says what to do: {}", problem.detail());
        assert!(!problem.detail().contains(TOKEN));
        problem.kind()
    })
}

fn get(access: &Access, peer: &str, headers: &[(&str, &str)]) -> Result<(), Kind> {
    verdict(access, peer, "GET", "/debug/pprof/", headers)
}

#[test]
fn without_a_token_only_this_machine_is_answered() {
    let closed = access(false, false);
    for ours in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(get(&closed, ours, &[]), Ok(()), "{ours}");
    }
    for other in ["10.0.0.1", "192.0.2.1", "172.17.0.1", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1", "0.0.0.0"] {
        assert_eq!(get(&closed, other, &[]), Err(Kind::PeerNotAllowed), "{other}");
    }
}

#[test]
fn the_opt_out_admits_private_networks_only() {
    let open = access(false, true);
    for private in ["127.0.0.1", "172.17.0.1", "10.0.2.2", "192.168.65.1", "169.254.1.1", "fd00::1", "fe80::1"] {
        assert_eq!(get(&open, private, &[]), Ok(()), "{private}");
    }
    for public in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8", "172.32.0.1"] {
        assert_eq!(get(&open, public, &[]), Err(Kind::PeerNotAllowed), "{public}");
    }
}

#[test]
fn a_token_is_demanded_of_everyone() {
    let access = access(true, true);
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let with = |peer: &str, value: &str| get(&access, peer, &[("authorization", value)]);
    for peer in ["127.0.0.1", "8.8.8.8"] {
        assert_eq!(get(&access, peer, &[]), Err(Kind::TokenRequired));
        for good in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN}"), basic(&format!(":{TOKEN}"))] {
            assert_eq!(with(peer, &good), Ok(()), "{good}");
        }
        for bad in [
            TOKEN.to_owned(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer {TOKEN}0"),
            "Bearer 0123456789abcdeF".to_owned(),
            format!("Digest {TOKEN}"),
            basic(TOKEN),
            basic(&format!("{TOKEN}:")),
            "Basic !".to_owned(),
        ] {
            assert_eq!(with(peer, &bad), Err(Kind::TokenRequired), "{bad}");
        }
    }
    let mut twice = HeaderMap::new();
    for _ in 0..2 {
        twice.append("authorization", HeaderValue::from_static("Bearer 0123456789abcdef"));
    }
    assert_eq!(access.token(&twice).unwrap_err().kind(), Kind::TokenRequired);
}

#[test]
fn a_token_in_the_address_is_refused_and_not_repeated() {
    let access = access(true, false);
    let uri = format!("/debug/pprof/heap?token={TOKEN}");
    assert_eq!(verdict(&access, "127.0.0.1", "GET", &uri, &[]), Err(Kind::InvalidParameter));
}

#[test]
fn names_of_strangers_are_refused() {
    let access = access(false, false);
    let with = |host: &str| get(&access, "127.0.0.1", &[("host", host)]);
    for ours in [
        "localhost",
        "LOCALHOST:6060",
        "127.0.0.1:6060",
        "127.0.0.2",
        "[::1]:1",
        "[::ffff:127.0.0.1]",
        "lab.example",
        "Lab.Example:80",
        "10.9.9.9",
        "10.1.2.3:6060",
        "localhost:0",
        "localhost:65535",
    ] {
        assert_eq!(with(ours), Ok(()), "{ours}");
    }
    for stranger in [
        "evil.example",
        "localhost.evil.example",
        "lab.example.evil",
        "127.0.0.1.evil.example",
        "10.1.2.4",
        "localhost@evil.example",
        "user@localhost",
        "",
        "localhost:6060, evil.example",
        "2130706433",
        "0.0.0.0:6060",
        "[::]:6060",
        // Pages print it as a part of commands.
        "localhost:';id;'",
        "localhost:$(id)",
        "localhost:65536",
        "localhost:+1",
        "localhost:",
        "[::1]:x",
        "127.0.0.1:6060x",
    ] {
        assert_eq!(with(stranger), Err(Kind::HostNotAllowed), "{stranger}");
    }
    // The address in the request line counts too.
    let absolute = |uri| verdict(&access, "127.0.0.1", "GET", uri, &[]);
    assert_eq!(absolute("http://localhost/debug/pprof/"), Ok(()));
    assert_eq!(absolute("http://evil.example/debug/pprof/"), Err(Kind::HostNotAllowed));
    assert_eq!(absolute("http://localhost:$(id)/debug/pprof/"), Err(Kind::HostNotAllowed));
}

#[test]
fn a_page_of_another_site_cannot_change_or_read_anything() {
    let access = access(false, false);
    for method in ["GET", "POST", "DELETE", "PUT", "PATCH"] {
        let from = |headers: &[(&str, &str)]| verdict(&access, "::1", method, "/debug/pprof/symbol", headers);
        assert_eq!(from(&[]), Ok(()), "programs send no Origin");
        assert_eq!(from(&[("origin", "http://localhost:6060"), ("sec-fetch-site", "same-origin")]), Ok(()));
        for origin in ["http://evil.example", "http://localhost:8080", "http://localhost", "null", "localhost:6060"] {
            assert_eq!(from(&[("origin", origin)]), Err(Kind::OriginNotAllowed), "{origin}");
        }
        for site in ["cross-site", "same-site"].iter().filter(|_| method != "GET") {
            let headers = [
                ("sec-fetch-site", *site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-user", "?1"),
            ];
            assert_eq!(from(&headers), Err(Kind::OriginNotAllowed), "{site}");
        }
    }
}

#[test]
fn a_page_of_another_site_may_link_here_and_not_embed() {
    let access = access(false, false);
    let from = |site, mode, dest, user| {
        let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest), user];
        get(&access, "::1", &headers)
    };
    const CLICK: (&str, &str) = ("sec-fetch-user", "?1");
    const SCRIPT: (&str, &str) = ("accept", "*/*");
    assert_eq!(from("cross-site", "navigate", "document", CLICK), Ok(()));
    assert_eq!(from("same-origin", "navigate", "object", SCRIPT), Ok(()));
    assert_eq!(from("none", "navigate", "document", SCRIPT), Ok(()));
    assert_eq!(from("cross-site", "navigate", "document", SCRIPT), Err(Kind::OriginNotAllowed));
    for (mode, dest) in [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("navigate", "object")] {
        assert_eq!(from("cross-site", mode, dest, CLICK), Err(Kind::OriginNotAllowed), "{mode} {dest}");
        assert_eq!(from("same-site", mode, dest, CLICK), Err(Kind::OriginNotAllowed), "{mode} {dest}");
    }
}

#[test]
fn a_link_of_another_site_starts_no_profile() {
    let access = access(false, false);
    let followed = |path: &str| {
        let headers = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-user", "?1"),
        ];
        verdict(&access, "::1", "GET", &format!("/debug/{path}"), &headers)
    };
    const TRACE: &str = "trace_id=0af7651916cd43dd8448eb211c80319c";
    for there in [
        "pprof/".to_owned(),
        "spans".to_owned(),
        "traces/0af7651916cd43dd8448eb211c80319c".to_owned(),
        "pprof/profile?since=10m&format=svg".to_owned(),
        format!("pprof/profile?{TRACE}"),
        "pprof/heap?format=svg".to_owned(),
        "pprof/goroutine?debug=2".to_owned(),
        // Refused by itself, with what is wrong with it.
        "pprof/profile?seconds=x".to_owned(),
    ] {
        assert_eq!(followed(&there), Ok(()), "{there}");
    }
    for taken in [
        "pprof/profile".to_owned(),
        "pprof/profile?span=x".to_owned(),
        "pprof/profile?%73econds=5".to_owned(),
        format!("pprof/profile?{TRACE}&seconds=5"),
        "pprof/trace".to_owned(),
        "pprof/heap?seconds=5".to_owned(),
        "pprof/allocs?seconds=5&format=svg".to_owned(),
        "pprof/goroutine?seconds=5".to_owned(),
    ] {
        assert_eq!(followed(&taken), Err(Kind::OriginNotAllowed), "{taken}");
    }
}

proptest! {
    #[test]
    fn fuzz_hosts(
        host in prop_oneof!["(localhost|127\\.0\\.0\\.1|\\[::1\\]|lab\\.example)?[.:@\\[\\]a-z0-9]{0,12}", "[ -~]*"],
    ) {
        let Ok(value) = HeaderValue::from_str(&host) else { return Ok(()) };
        let headers = HeaderMap::from_iter([(header::HOST, value)]);
        let local = "10.1.2.3".parse().unwrap();
        if access(false, false).host(&Uri::from_static("/"), &headers, local).is_ok() {
            // What a browser would connect to, by the URL standard's own parser.
            let Ok(url) = reqwest::Url::parse(&format!("http://{host}/")) else { return Ok(()) };
            let name = url.host_str().unwrap().trim_start_matches('[').trim_end_matches(']');
            let address = name.parse::<IpAddr>().map(|address| address.to_canonical());
            let ours = address.is_ok_and(|address| {
                address.is_loopback() || ["10.1.2.3", "10.9.9.9"].contains(&&*address.to_string())
            });
            prop_assert!(ours || ["localhost", "lab.example"].contains(&name), "{host} is {url}");
        }
    }

    #[test]
    fn fuzz_credentials(value in prop_oneof!["(?i)(bearer|basic) [A-Za-z0-9+/=]{0,24}", ".*"]) {
        if let Some(shown) = shown(&value) {
            prop_assert!(shown.len() < value.len());
        }
    }
}
