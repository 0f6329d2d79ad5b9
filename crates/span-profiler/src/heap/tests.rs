use super::error::check;
use super::*;
use crate::sys::heap::Facts;

const GOOD: Facts = Facts { global: true, built: true, enabled: true, active: false, foreign: false, lg_interval: 19 };

#[test]
fn each_missing_condition_has_an_error_that_names_its_fix() {
    assert_eq!(check(GOOD), Ok(()));
    let cases = [
        (Facts { global: false, built: false, enabled: false, ..GOOD }, HeapError::NotGlobal, "#[global_allocator]"),
        (Facts { built: false, enabled: false, ..GOOD }, HeapError::NotBuilt, "feature `profiling`"),
        (
            Facts { enabled: false, ..GOOD },
            HeapError::Off,
            "_RJEM_MALLOC_CONF=prof:true,prof_active:false,lg_prof_sample:19",
        ),
        (Facts { foreign: true, ..GOOD }, HeapError::ForeignHooks, "remove the other heap profiler"),
        (Facts { lg_interval: 25, ..GOOD }, HeapError::Interval { lg: 25, max: 24 }, "set lg_prof_sample:19"),
    ];
    for (facts, error, fix) in cases {
        assert_eq!(check(facts), Err(error.clone()));
        assert!(error.to_string().contains(fix), "{error}");
    }
}

/// The unit tests use the system's allocator.
#[test]
fn a_program_with_another_allocator_is_told() {
    assert_eq!(start().unwrap_err(), HeapError::NotGlobal);
    assert_eq!(AllocatorStats::read().unwrap_err(), HeapError::NotGlobal);
    assert_eq!(purge().unwrap_err(), HeapError::NotGlobal);
}
