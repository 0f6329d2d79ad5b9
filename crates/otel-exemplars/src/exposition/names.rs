//! Metric and label names, equal to those that Prometheus derives from OTLP.
//!
//! The rules are those of `metric_namer.go` and `label_namer.go` in github.com/prometheus/otlptranslator 1.0.0 with the
//! strategy `UnderscoreEscapingWithSuffixes`, and of `DefaultOTLPConfig` in Prometheus 3.14, which keeps runs of
//! underscores in label names and puts `key` before a label that starts with a single one.

use std::borrow::Cow;

use super::families::Kind;
use super::units::unit_words;

/// Letters, digits and the colon; everything else separates words. The underscore is a separator, too.
pub(super) fn is_metric_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The name of a metric's series, a counter's `_total` included; `None` when no character of `name` survives.
pub(super) fn metric_name(name: &str, unit: &str, kind: Kind) -> Option<String> {
    let words = unit_words(unit);
    let mut tokens: Vec<&str> = name.split(|c| !is_metric_char(c)).filter(|token| !token.is_empty()).collect();
    add_unit(&mut tokens, &words.main, &words.per);
    match kind {
        Kind::Counter => move_last(&mut tokens, "total"),
        // A counter of things often has the unit "1" by mistake, so only gauges become ratios.
        Kind::Gauge if unit == "1" => move_last(&mut tokens, "ratio"),
        Kind::Gauge | Kind::UpDownCounter | Kind::Histogram => {}
    }
    let joined = tokens.join("_");
    let digit_first = joined.starts_with(|c: char| c.is_ascii_digit());
    let full = if digit_first { format!("_{joined}") } else { joined };
    full.contains(|c| c != '_').then_some(full)
}

/// Appends the unit's words unless the name has them as words already, wherever they stand.
fn add_unit<'a>(tokens: &mut Vec<&'a str>, main: &'a str, per: &'a str) {
    let main = if tokens.contains(&main) { "" } else { main };
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(per) };
    let per = if tokens.contains(&per) { "" } else { per };
    // Two words are joined by one underscore, even when cleaning left one at the end of the first.
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    tokens.extend([main, per].into_iter().filter(|word| !word.is_empty()));
}

fn move_last<'a>(tokens: &mut Vec<&'a str>, word: &'a str) {
    tokens.retain(|token| *token != word);
    tokens.push(word);
}

/// The name of an attribute's label; `None` for the empty name.
///
/// One step goes past Prometheus, which keeps two leading underscores, and refuses a whole metric for a name that is
/// nothing but underscores: both formats reserve names that start so, and their readers may refuse the page. Such a
/// name gets the `key` that one underscore gets.
pub(super) fn label_name(name: &str) -> Option<Cow<'_, str>> {
    let escaped: Cow<'_, str> = if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Cow::Borrowed(name)
    } else {
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>().into()
    };
    match escaped.as_bytes().first()? {
        b'0'..=b'9' => Some(format!("key_{escaped}").into()),
        b'_' => Some(format!("key{escaped}").into()),
        _ => Some(escaped),
    }
}
