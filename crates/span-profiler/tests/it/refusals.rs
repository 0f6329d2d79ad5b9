//! What a profiler cannot start under, each said with its fix, and each over as soon as its cause is.

use std::time::Duration;

use span_profiler::{CaptureError, Filter, Profiler, StartError};

use crate::rig::{alone, burn};

#[test]
fn a_foreign_owner_of_the_signal_is_not_replaced() {
    let _alone = alone();
    let theirs = pprof::ProfilerGuard::new(99).unwrap();
    let error = Profiler::builder().start().unwrap_err();
    assert!(matches!(error, StartError::ForeignHandler), "{error}");
    assert!(error.to_string().contains("drop its guard"), "{error}");
    assert!(theirs.report().build().is_ok(), "it goes on");
    drop(theirs);
    // Nothing of the refused start is left: a thread arms itself, without waiting for a scan.
    let (profiler, _guard) = Profiler::builder().with_recorder_hz(1).start().unwrap();
    let before = profiler.stats().threads;
    let during = std::thread::spawn(move || {
        span_profiler::thread_started();
        profiler.stats().threads
    });
    assert!(during.join().unwrap() > before);
}

#[test]
fn who_takes_the_signal_later_is_named_instead_of_an_empty_profile() {
    let _alone = alone();
    let (profiler, _guard) = Profiler::builder().with_recorder_hz(0).start().unwrap();
    let theirs = pprof::ProfilerGuard::new(99).unwrap();
    assert_eq!(profiler.capture(99).unwrap_err(), CaptureError::SignalTaken);
    assert!(profiler.stats().signal_taken);
    drop(theirs);
    let capture = profiler.capture(99).unwrap();
    let theirs = pprof::ProfilerGuard::new(99).unwrap();
    let comments = capture.finish().comments;
    assert!(comments.iter().any(|comment| comment.contains("took SIGPROF")), "{comments:?}");
    drop(theirs);
}

#[test]
fn a_capture_of_a_stopped_profiler_leaves_the_next_one_alone() {
    let _alone = alone();
    let (old, guard) = Profiler::builder().with_recorder_hz(0).start().unwrap();
    let capture = old.capture(99).unwrap();
    drop(guard);
    let (profiler, _guard) = Profiler::builder().with_recorder_hz(499).start().unwrap();
    let comments = capture.finish().comments;
    assert!(comments.iter().any(|comment| comment.contains("stopped")), "{comments:?}");
    burn(Duration::from_millis(200));
    assert!(old.recorded(&Filter::default()).samples.is_empty());
    assert!(!profiler.recorded(&Filter::default()).samples.is_empty(), "its timers still run");
}

#[test]
fn a_limit_that_leaves_no_timer_is_named() {
    let _alone = alone();
    let before = pending_signals(None);
    pending_signals(Some(0));
    let refused = Profiler::builder().start();
    pending_signals(Some(before));
    let error = refused.unwrap_err();
    assert!(matches!(error, StartError::Refused { .. }) && error.to_string().contains("ulimit -i"), "{error}");
    let (_, _guard) = Profiler::builder().start().unwrap();
}

/// The limit, which is changed if there is a new one.
#[expect(unsafe_code, reason = "the standard library knows no limits")]
fn pending_signals(new: Option<libc::rlim_t>) -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place is valid.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_SIGPENDING, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    if let Some(new) = new {
        limit.rlim_cur = new;
        // SAFETY: the limit is valid.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const limit) }, 0);
    }
    before
}
