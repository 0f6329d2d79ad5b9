//! Numbers and names as a terminal shows them.

use crate::verify::prometheus::Labels;

/// Names come from elsewhere and go to a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// Labels as in a query, without braces.
pub(super) fn labels(labels: &Labels) -> String {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    printable(&labels.join(" "))
}

/// A number in the unit that reads best; `-` for none.
pub(super) fn amount(value: f64, unit: &str) -> String {
    let scales: &[(f64, &str)] = match unit {
        _ if value.is_nan() => return "-".to_owned(),
        "seconds" => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
        "nanoseconds" => &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")],
        "bytes" => &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")],
        _ => return plain(value),
    };
    let (scale, name) = scales.iter().find(|(scale, _)| value.abs() >= *scale).copied().unwrap_or((1.0, ""));
    let amount = value / scale;
    let digits = if amount.abs() >= 100.0 || amount.fract() == 0.0 { 0 } else { 2 };
    format!("{amount:.digits$} {name}").trim_end().to_owned()
}

/// Whole numbers as they are, others with three digits that say something.
fn plain(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        _ => return format!("{value:.2e}"),
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        for (value, unit, text) in [
            (1_500_000_000.0, "nanoseconds", "1.50 s"),
            (250_000_000.0, "nanoseconds", "250 ms"),
            (-20_000.0, "nanoseconds", "-20 us"),
            (0.0, "nanoseconds", "0"),
            (0.0475, "seconds", "47.50 ms"),
            (5.0, "seconds", "5 s"),
            (3_145_728.0, "bytes", "3 MiB"),
            (-700.0, "bytes", "-700 B"),
            (42.0, "count", "42"),
            (1_234_567.0, "", "1234567"),
            (0.333_333, "", "0.333"),
            (12.345, "", "12.3"),
            (1234.5, "", "1234"),
            (0.5, "", "0.5"),
            (9.999, "", "10"),
            (0.001_23, "", "1.23e-3"),
            (f64::NAN, "seconds", "-"),
            (f64::INFINITY, "", "inf"),
        ] {
            assert_eq!(amount(value, unit), text);
        }
    }
}
