//! UCUM units as the words that Prometheus puts at the end of a metric's name.
//!
//! The rules are those of `unit_namer.go` in github.com/prometheus/otlptranslator 1.0.0, which Prometheus 3.14 uses
//! for what it receives over OTLP.

/// A unit's words: `By/s` is `bytes` and `per_second`. Either may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnitWords {
    pub(super) main: String,
    pub(super) per: String,
}

/// Splits at the first `/` and translates both sides; an annotation such as `{request}` gives no word.
pub(super) fn unit_words(unit: &str) -> UnitWords {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = side(main).map_or("", main_word);
    let per = side(per).map(per_word).map_or_else(String::new, |word| format!("per_{word}"));
    UnitWords { main: clean(main), per: clean(&per) }
}

/// The unit as one word, as it stands in a `# UNIT` line and in Prometheus' metadata.
pub(super) fn unit_word(unit: &str) -> String {
    let UnitWords { main, per } = unit_words(unit);
    let joined = match (main.is_empty(), per.is_empty()) {
        (false, false) => format!("{main}_{per}"),
        (false, true) => main,
        (true, _) => per,
    };
    let word = joined.strip_prefix('_').unwrap_or(&joined);
    word.strip_suffix('_').unwrap_or(word).to_owned()
}

fn side(unit: &str) -> Option<&str> {
    let unit = unit.trim();
    (!unit.is_empty() && !unit.contains(['{', '}'])).then_some(unit)
}

fn main_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// Only characters that a name may hold, no two underscores in a row, none at the front.
fn clean(unit: &str) -> String {
    let mut cleaned = String::with_capacity(unit.len());
    for c in unit.chars() {
        if super::names::is_metric_char(c) {
            cleaned.push(c);
        } else if !cleaned.ends_with('_') {
            cleaned.push('_');
        }
    }
    if cleaned.starts_with('_') {
        cleaned.remove(0);
    }
    cleaned
}
