//! Numbers as text: digits go straight into the page, without a temporary string for each.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// The number types that the SDK aggregates.
pub(super) trait Number: Copy {
    fn push(self, out: &mut String);
    fn as_f64(self) -> f64;
}

impl Number for u64 {
    fn push(self, out: &mut String) {
        push_u64(out, self);
    }

    fn as_f64(self) -> f64 {
        // Prometheus holds floats, so the rounding above 2^53 is the reader's anyway.
        self as f64
    }
}

impl Number for i64 {
    fn push(self, out: &mut String) {
        if self < 0 {
            out.push('-');
        }
        push_u64(out, self.unsigned_abs());
    }

    fn as_f64(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn push(self, out: &mut String) {
        push_f64(out, self);
    }

    fn as_f64(self) -> f64 {
        self
    }
}

pub(super) fn push_u64(out: &mut String, mut value: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789"[(value % 10) as usize];
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("decimal digits are ASCII"));
}

/// The shortest form that reads back as the same number, with an exponent where it would have many zeros.
pub(super) fn push_f64(out: &mut String, value: f64) {
    const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;
    let size = value.abs();
    if push_special(out, value) {
    } else if size < EXACT_INTEGERS && value.trunc() == value {
        if value.is_sign_negative() {
            out.push('-');
        }
        #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53, checked above")]
        push_u64(out, size as u64);
    } else if (1e-5..1e17).contains(&size) {
        write!(out, "{value}").expect("a String takes all text");
    } else {
        write!(out, "{value:e}").expect("a String takes all text");
    }
}

/// The form that OpenMetrics 1.0 demands of an `le` label (section "Numbers", "canonical numbers"): Go's `%g` with a
/// point in it. Both formats get it, so that a series does not change with the format that a scrape negotiated.
pub(super) fn push_canonical(out: &mut String, value: f64) {
    if push_special(out, value) {
        return;
    }
    if value == 0.0 {
        // Negative zero is the same bound.
        out.push_str("0.0");
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the LowerExp form of a finite float has an e");
    let exponent: i32 = exponent.parse().expect("an exponent is a small integer");
    if (-4..6).contains(&exponent) {
        write!(out, "{value:?}").expect("a String takes all text");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs()).expect("a String takes all text");
    }
}

fn push_special(out: &mut String, value: f64) -> bool {
    let text = match value {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ if value.is_nan() => "NaN",
        _ => return false,
    };
    out.push_str(text);
    true
}

/// Seconds since 1970 with microseconds; a time before that counts as 1970.
pub(super) fn push_time(out: &mut String, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    push_u64(out, since.as_secs());
    write!(out, ".{:06}", since.subsec_micros()).expect("a String takes all text");
}
