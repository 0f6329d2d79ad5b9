//! Durations of `PHASELAB_*` variables.
//!
//! The collector reads some of these variables too, so the forms accepted here are those that Go's
//! `time.ParseDuration` and the common Rust libraries both understand: whole numbers with a unit, joined without spaces.

use std::time::Duration;

/// The accepted units, largest first, in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `30s`, `250ms` or `1m30s`; `None` when the text has no unit, another form, or overflows 584 years.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_nanos(nanos))
}

/// Writes a duration in the form that [`parse`] reads.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        let count = nanos / u128::from(scale);
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
            nanos %= u128::from(scale);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads_and_nothing_else() {
        assert_eq!(parse("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        for bad in ["", "20", "s", "-1s", "1.5s", "1 s", " 1s", "1day", "1S", "99999999999999h", "+1s"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for text in ["0s", "30s", "1h1m1s", "2s500ms", "7us3ns"] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn fuzz_durations(text in prop_oneof!["([0-9]{1,20}(h|m|s|ms|us|ns)){0,4}", "[0-9a-z.+ -]{0,12}", ".*"]) {
            if let Some(duration) = parse(&text) {
                prop_assert_eq!(parse(&format(duration)), Some(duration));
            }
        }
    }
}
