//! `phaselab ramp`. Catches: a ramp that does not come down, a trace without its workers, files that cannot be written
//! and are found out about too late.

use crate::server::run;

#[test]
fn it_goes_up_and_down_and_writes_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ramp.pftrace");
    let finished = run(&["ramp", "--workers", "20", "--duration", "6s", "-o", path.to_str().unwrap()], &[]);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.contains("increasing") && finished.stdout.contains("decreasing"), "{finished:?}");
    assert!(finished.stdout.contains("20 workers were started, 0 are left\n"), "{finished:?}");
    let trace = std::fs::read(&path).unwrap();
    assert!(trace.windows(11).any(|bytes| bytes == b"ramp worker"), "{} bytes", trace.len());
}

#[test]
fn bad_input_is_explained() {
    for (arguments, why) in [
        (["--workers", "0"], "a whole number of workers from 1 to 10000"),
        (["--duration", "2h"], "a duration from 1s to 1h"),
        (["--duration", "60"], "a duration from 1s to 1h"),
    ] {
        let finished = run(&[&["ramp"][..], &arguments].concat(), &[]);
        assert_eq!(finished.status.code(), Some(64), "{finished:?}");
        assert!(finished.stderr.contains(why), "{finished:?}");
    }
    let finished = run(&["ramp", "-o", "/nowhere/ramp.pftrace"], &[]);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    assert!(finished.stderr.contains("cannot write /nowhere/ramp.pftrace"), "{finished:?}");
}
