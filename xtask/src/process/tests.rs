//! Guards the two promises of `down`: it ends what it started, and never anything else.

use std::os::unix::process::ExitStatusExt;

use super::*;

/// Says when it runs, then waits without taking any time of a processor. The shell becomes `sleep` instead of starting
/// it, so that no second process can outlive the test; what the shell ignores, `sleep` ignores.
const BLOCKED: &str = "echo up; exec /bin/sleep 60";

fn launch(script: &str) -> Launch {
    Launch {
        name: "stand-in",
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        dir: None,
        env: BTreeMap::from([("SHOWN".to_owned(), "yes".to_owned())]),
        env_remove: vec!["PATH".to_owned()],
        ready: None,
        stop_within: Duration::from_secs(5),
    }
}

/// A stand-in that ends with its test, also with one that fails.
struct StandIn(Child);

impl StandIn {
    fn spawn(script: &str, log: &Path) -> (Self, Identity) {
        let stand_in = Self(launch(script).spawn(log).unwrap());
        first_line(log);
        let identity = Identity::of(stand_in.0.id()).unwrap();
        (stand_in, identity)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Blocks until the program has written its first line, which is when it handles signals as it was told to.
fn first_line(log: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "the stand-in wrote nothing");
        std::thread::yield_now();
    }
}

#[test]
fn a_pid_file_whose_number_went_to_another_process_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stand_in, identity) = StandIn::spawn(BLOCKED, &dir.path().join("a.log"));
    let recycled = Identity { started: "1@another-boot".to_owned(), ..identity };
    assert!(!recycled.is_alive());
    let killed = stop(&[("stand-in", recycled, Duration::ZERO)]).unwrap();
    assert!(killed.is_empty());
    assert!(stand_in.0.try_wait().unwrap().is_none(), "a process that is none of ours was ended");
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_after_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (_stand_in, identity) = StandIn::spawn(&format!("trap '' TERM; {BLOCKED}"), &dir.path().join("a.log"));
    assert_eq!(stop(&[("stand-in", identity.clone(), Duration::from_millis(100))]).unwrap(), ["stand-in"]);
    assert!(!identity.is_alive(), "a dead process that waits to be reaped counts as gone");
}

#[test]
fn a_program_that_heeds_sigterm_is_not_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stand_in, identity) = StandIn::spawn(BLOCKED, &dir.path().join("a.log"));
    assert!(stop(&[("stand-in", identity, Duration::from_secs(10))]).unwrap().is_empty());
    assert_eq!(stand_in.0.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_pid_file_survives_being_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pid");
    let me = Identity::of(std::process::id()).unwrap();
    me.write(&path).unwrap();
    assert_eq!(Identity::read(&path), Some(me.clone()));
    assert!(me.is_alive());
    assert!(me.resident_bytes().unwrap() > 100_000);
    fs::write(&path, "not a pid\n").unwrap();
    assert_eq!(Identity::read(&path), None);
}

#[test]
fn variables_are_added_and_removed_and_the_old_log_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a.log");
    for _ in 0..2 {
        launch("echo \"shown=$SHOWN path=$(/usr/bin/env | /bin/grep -c '^OTEL_')\"")
            .spawn(&log)
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(tail(&log, 5), ["shown=yes path=0"]);
    }
    assert_eq!(tail(&dir.path().join("a.log.1"), 5), ["shown=yes path=0"]);
}

#[test]
fn the_tail_of_a_long_log_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a.log");
    fs::write(&log, "x".repeat(300_000) + "\nlast but one\nlast\n").unwrap();
    assert_eq!(tail(&log, 2), ["last but one", "last"]);
    assert!(tail(&dir.path().join("none.log"), 2)[0].contains("no log at"));
}
