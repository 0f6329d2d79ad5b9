//! Numbers for people.

use std::time::{Duration, SystemTime};

/// A duration with three digits.
pub(in crate::console) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        _ if seconds == 0.0 => return "0".to_owned(),
        _ if seconds < 1e-3 => (seconds * 1e6, "µs"),
        _ if seconds < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{}\u{a0}{unit}", digits(value))
}

/// The same of what may be unknown.
pub(in crate::console) fn maybe_seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), seconds)
}

/// Three digits that count.
pub(in crate::console) fn digits(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share of 0 to 1.
pub(in crate::console) fn percent(share: f64) -> String {
    format!("{}\u{a0}%", digits(100.0 * share))
}

/// The time of day, in UTC.
pub(in crate::console) fn clock(unix_ns: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.get(11..19).unwrap_or_default().to_owned()
}

/// Nanoseconds as a duration with three digits.
pub(in crate::console) fn duration(nanos: u64) -> String {
    seconds(nanos as f64 / 1e9)
}

/// The same of a time after something: a small one is 0, as its unit would say nothing.
pub(in crate::console) fn offset(nanos: u64) -> String {
    if nanos < 10 { "0".to_owned() } else { duration(nanos) }
}

/// Date and time of day with milliseconds, in UTC.
pub(in crate::console) fn date(unix_ns: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns);
    humantime::format_rfc3339_millis(time).to_string().replace('T', " ").replace('Z', "")
}

/// The beginning of a text, so that one line can hold it.
pub(in crate::console) fn short(text: &str) -> String {
    crate::error::short(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts =
            [(0.0, "0"), (0.000_25, "250 µs"), (0.012_34, "12.3 ms"), (0.1, "100 ms"), (1.5, "1.5 s"), (20.0, "20 s")];
        for (value, text) in texts {
            assert_eq!(seconds(value).replace('\u{a0}', " "), text);
        }
        assert_eq!(
            (digits(123.4), digits(0.0), percent(0.051)),
            ("123".to_owned(), "0".to_owned(), "5.1\u{a0}%".to_owned())
        );
        assert_eq!(clock(1_700_000_000_999_999_999), "22:13:20");
        assert_eq!(date(1_700_000_000_999_999_999), "2023-11-14 22:13:20.999");
        assert_eq!(short(&"ä".repeat(81)), "ä".repeat(80) + "…");
    }
}
