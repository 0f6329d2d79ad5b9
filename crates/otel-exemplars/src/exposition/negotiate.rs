//! Which format a scrape gets.

use super::Format;

/// Picks OpenMetrics when the header prefers it or names it as readily as plain text, else text 0.0.4.
///
/// A header that is missing, that only says `*/*`, or that accepts neither format gets text 0.0.4: whoever did not ask
/// for OpenMetrics may not be able to read it. Parameters such as `escaping` and `charset` do not exclude a range: all
/// names on the page are of the classic alphabet, so that every escaping scheme leaves them alone.
pub(crate) fn negotiate(accept: Option<&str>) -> Format {
    let mut open_metrics = Weight::default();
    let mut text = Weight::default();
    for range in split_quoted(accept.unwrap_or_default(), ',').filter_map(Range::parse) {
        open_metrics.consider(&range, "application", "openmetrics-text", "1.0.0");
        text.consider(&range, "text", "plain", "0.0.4");
    }
    let named_better = open_metrics.specificity > text.specificity;
    let liked_as_much = open_metrics.quality > text.quality
        || open_metrics.quality == text.quality && (named_better || open_metrics.specificity >= NAMED);
    if open_metrics.quality > 0 && liked_as_much { Format::OpenMetrics } else { Format::Text }
}

/// The specificity of a range without a wildcard.
const NAMED: u8 = 3;

/// What the most specific range that covers a format says of it; the quality is in thousandths.
#[derive(Default)]
struct Weight {
    specificity: u8,
    quality: u16,
}

impl Weight {
    fn consider(&mut self, range: &Range<'_>, main: &str, sub: &str, version: &str) {
        let is = |have: &str, wanted: &str| have.eq_ignore_ascii_case(wanted);
        let specificity = match (range.main, range.sub, range.version) {
            ("*", "*", _) => 1,
            (have, "*", _) if is(have, main) => 2,
            (have, have_sub, None) if is(have, main) && is(have_sub, sub) => NAMED,
            (have, have_sub, Some(v)) if is(have, main) && is(have_sub, sub) && v == version => NAMED + 1,
            _ => return,
        };
        // Of two equal ranges the kinder one counts.
        if specificity > self.specificity || specificity == self.specificity && range.quality > self.quality {
            *self = Self { specificity, quality: range.quality };
        }
    }
}

struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    version: Option<&'a str>,
    quality: u16,
}

impl<'a> Range<'a> {
    /// `None` for what is no media range, or has a weight that is none: such a range cannot be weighed.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split_quoted(text, ';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let mut range = Self { main: main.trim(), sub: sub.trim(), version: None, quality: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            match name.trim() {
                name if name.eq_ignore_ascii_case("q") => range.quality = quality(value)?,
                name if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }
}

/// RFC 9110, 12.4.2: from 0 to 1 with up to three decimals.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = whole.parse::<u16>().ok()? * 1000 + format!("{decimals:0<3}").parse::<u16>().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

/// Splits at `separator` where it stands outside a quoted string.
fn split_quoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}
