//! `phaselab profile` against a running service. Catches: tables without the hot function, errors that do not say what
//! to do, wrong exit codes.

use super::Private;
use super::traces::fake_peer;
use crate::server::run;

fn profile(private: &Private, arguments: &[&str]) -> crate::server::Finished {
    let url = format!("http://{}", private.address);
    run(&[&["profile", "--url", &url], arguments].concat(), &[])
}

#[test]
fn the_table_names_the_hot_span_and_its_function() {
    let private = Private::start(&[]);
    for _ in 0..4 {
        private.server.get("/api/work?loop_iterations=20000000");
    }
    let finished = profile(&private, &["--since", "5m", "--span", "cpu_loop"]);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert!(lines[0].starts_with("cpu: "), "{finished:?}");
    assert!(lines[2].ends_with("100.0%  cpu_loop"), "{finished:?}");
    assert!(finished.stdout.contains("phaselab::workload::cpu::checksum  "), "{finished:?}");
    for kind in ["heap", "allocs", "goroutine"] {
        let finished = profile(&private, &["--kind", kind]);
        assert_eq!(finished.status.code(), Some(0), "{kind}: {finished:?}");
    }
}

#[test]
fn a_file_is_what_its_name_says() {
    let private = Private::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments, begins) in [
        ("cpu.pb.gz", &["--since", "5m"][..], &[0x1f, 0x8b][..]),
        ("heap.svg", &["--kind", "heap"], b"<?xml"),
        ("trace.pftrace", &["--kind", "trace", "--seconds", "0.1"], &[]),
    ] {
        let path = folder.path().join(name);
        let finished = profile(&private, &[arguments, &["-o", path.to_str().unwrap()]].concat());
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
        assert!(finished.stdout.contains(name), "{finished:?}");
        assert!(std::fs::read(&path).unwrap().starts_with(begins), "{name}");
    }
}

#[test]
fn what_goes_wrong_is_explained() {
    let private = Private::start(&[("PHASELAB_DIAGNOSTICS_TOKEN", "correct-horse-battery")]);
    let refused = profile(&private, &["--since", "5m"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    for part in ["401 no token was shown", "--token-file"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "correct-horse-battery").unwrap();
    let with_token =
        |arguments: &[&str]| profile(&private, &[&["--token-file", path.to_str().unwrap()], arguments].concat());
    set_mode(&path, 0o644);
    let loose = with_token(&["--since", "5m"]);
    assert!(loose.status.code() == Some(64) && loose.stderr.contains("chmod 600"), "{loose:?}");
    set_mode(&path, 0o600);
    assert_eq!(with_token(&["--since", "5m"]).status.code(), Some(0));
    // By the service's own variables, too.
    let url = format!("http://{}", private.address);
    for (name, value) in [
        ("PHASELAB_DIAGNOSTICS_TOKEN", "correct-horse-battery"),
        ("PHASELAB_DIAGNOSTICS_TOKEN_FILE", path.to_str().unwrap()),
    ] {
        let finished = run(&["profile", "--url", &url, "--since", "5m"], &[(name, value)]);
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    }
    let unsafe_token = run(&["profile"], &[("PHASELAB_DIAGNOSTICS_TOKEN", "correct/horse+battery==")]);
    assert_eq!(unsafe_token.status.code(), Some(64), "{unsafe_token:?}");
    for part in ["letters, digits and . _ ~ -", "openssl rand -hex 32", "(withheld)"] {
        assert!(unsafe_token.stderr.contains(part), "{unsafe_token:?}");
    }
    let bad = with_token(&["--seconds", "61"]);
    assert!(bad.status.code() == Some(64) && bad.stderr.contains("up to 60"), "{bad:?}");

    let nobody = run(&["profile", "--url", "http://127.0.0.1:9"], &[]);
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    assert!(nobody.stderr.contains("phaselab serve") && nobody.stderr.contains("--url"), "{nobody:?}");
    let api = run(&["profile", "--url", &format!("http://{}", private.server.address)], &[]);
    assert_eq!(api.status.code(), Some(1), "{api:?}");

    // What is no profile is not kept.
    let (other, _heads) = fake_peer(
        std::net::Ipv4Addr::LOCALHOST.into(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    );
    for name in ["cpu.pb.gz", "cpu.svg"] {
        let file = folder.path().join(name);
        let finished = run(&["profile", "--url", &other, "-o", file.to_str().unwrap()], &[]);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert!(finished.stderr.contains("something else than a profile") && !file.exists(), "{finished:?}");
    }
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
