//! Numbers that read back as others, or `le` labels in a form that OpenMetrics readers refuse.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use crate::exposition::number::{Number, push_canonical, push_time};

fn text_of<T: Number>(value: T) -> String {
    let mut out = String::new();
    value.push(&mut out);
    out
}

fn canonical(value: f64) -> String {
    let mut out = String::new();
    push_canonical(&mut out, value);
    out
}

#[test]
fn values() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.0, "-2"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (1e300, "1e300"),
        (5e-324, "5e-324"),
        (0.00001, "0.00001"),
        (0.000_001, "1e-6"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ] {
        assert_eq!(text_of(value), expected);
    }
    assert_eq!(text_of(u64::MAX), "18446744073709551615");
    assert_eq!(text_of(0_u64), "0");
    assert_eq!(text_of(i64::MIN), "-9223372036854775808");
}

/// The left column is the table of canonical numbers in the OpenMetrics 1.0 specification, and Go's `%g` past it.
#[test]
fn canonical_numbers() {
    for expected in [
        "-10.0",
        "-1.0",
        "0.0",
        "0.1",
        "0.3",
        "1.0",
        "10.0",
        "1e-10",
        "1e-09",
        "1e-05",
        "0.0001",
        "100000.0",
        "1e+06",
        "1e+10",
        "2.5",
        "2.5e+06",
        "1.234567e+06",
        "123456.7",
        "1e+100",
        "5e-324",
        "0.00012345",
        "-2.5e-07",
        "+Inf",
        "-Inf",
        "NaN",
    ] {
        let value: f64 = expected.parse().unwrap();
        assert_eq!(canonical(value), expected);
    }
    assert_eq!(canonical(-0.0), "0.0");
}

#[test]
fn times_are_seconds_with_microseconds() {
    for (time, expected) in [
        (UNIX_EPOCH, "0.000000"),
        (UNIX_EPOCH + Duration::new(1_700_000_000, 7_000), "1700000000.000007"),
        (UNIX_EPOCH + Duration::new(1_700_000_000, 999_999_999), "1700000000.999999"),
        (UNIX_EPOCH - Duration::from_secs(5), "0.000000"),
    ] {
        let mut out = String::new();
        push_time(&mut out, time);
        assert_eq!(out, expected);
    }
}

proptest! {
    #[test]
    fn floats_read_back(value in proptest::num::f64::ANY) {
        for text in [text_of(value), canonical(value)] {
            let back: f64 = text.parse().unwrap();
            prop_assert!(back == value || back.is_nan() && value.is_nan(), "{} from {:e}", text, value);
        }
        prop_assert!(text_of(value).len() <= 25, "{}", text_of(value));
    }

    #[test]
    fn integers_read_back(unsigned: u64, signed: i64) {
        prop_assert_eq!(text_of(unsigned), unsigned.to_string());
        prop_assert_eq!(text_of(signed), signed.to_string());
    }
}
