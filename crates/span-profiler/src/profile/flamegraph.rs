//! A profile as a picture to click through.

#[cfg(test)]
mod tests;

use inferno::flamegraph::color::{MultiPalette, Palette};
use inferno::flamegraph::{Direction, Options, from_lines};

use super::Symbolized;
use super::folded::printable;

/// Above this size browsers become slow, and nobody can see such narrow frames. It is some 10,000 frames with long names.
const LIMIT: usize = 4 << 20;
/// Frames that are narrower than this percentage are left out: about one pixel on a wide screen.
const NARROWEST: f64 = 0.1;

impl Symbolized {
    /// An SVG with the sums of one value type, to zoom into and to search, without anything from elsewhere. When
    /// samples carry spans, the names of the spans are the first row. A difference shows how much each stack changed:
    /// what grew in red, what shrank in blue.
    #[must_use]
    pub fn flamegraph(&self, title: &str, value: usize) -> Vec<u8> {
        let title: String = title.chars().map(printable).collect();
        let stacks = self.stacks(value);
        let total: u128 = stacks.values().map(|sum| u128::from(sum.unsigned_abs())).sum();
        if total == 0 {
            return empty(&title);
        }
        // inferno adds up in u64, and places frames in f64.
        let scale = total.div_ceil(1 << 53);
        let difference = stacks.values().any(|sum| *sum < 0);
        let lines: Vec<String> = stacks
            .iter()
            .map(|(stack, sum)| line(stack, u128::from(sum.unsigned_abs()) / scale, difference.then_some(*sum > 0)))
            .collect();

        let kind = self.profile.value_types.get(value);
        let (unit, factor) = match kind.map_or("", |kind| kind.unit) {
            "nanoseconds" => ("ms", 1e-6),
            unit => (unit, 1.0),
        };
        let mut narrowest = NARROWEST;
        loop {
            let mut options = Options::default();
            options.title.clone_from(&title);
            options.subtitle = kind.map(|kind| format!("{} ({})", kind.kind, kind.unit));
            options.count_name = unit.to_owned();
            #[expect(clippy::cast_precision_loss, reason = "it is 1 but for absurd totals")]
            let factor = factor * scale as f64;
            options.factor = factor;
            options.min_width = narrowest;
            options.colors = Palette::Multi(MultiPalette::Rust);
            options.deterministic = true;
            // What is looked at first, spans and entry points, is at the top of the window then.
            options.direction = Direction::Inverted;
            let mut svg = Vec::new();
            if from_lines(&mut options, lines.iter().map(String::as_str), &mut svg).is_err() {
                return empty(&title);
            }
            if svg.len() <= LIMIT || narrowest > 50.0 {
                return svg;
            }
            narrowest *= 2.0;
        }
    }
}

/// A line of inferno's input; one with two numbers is a difference, of which the second one is the width.
fn line(stack: &str, width: u128, grew: Option<bool>) -> String {
    // A number at the end of the last name would be read as a value, a `# ` at the start of the first as a comment.
    let mut stack = stack.to_owned();
    if let Some(space) = stack.rfind(' ')
        && stack[space + 1..].chars().all(|char| char.is_ascii_digit() || char == '.')
    {
        stack.replace_range(space..=space, "\u{a0}");
    }
    if stack.trim_start().starts_with("# ") {
        stack = stack.replacen("# ", "#\u{a0}", 1);
    }
    match grew {
        None => format!("{stack} {width}"),
        Some(true) => format!("{stack} 0 {width}"),
        Some(false) => format!("{stack} {} {width}", 2 * width),
    }
}

fn empty(title: &str) -> Vec<u8> {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        r##"<?xml version="1.0" encoding="UTF-8"?>
<svg version="1.1" width="1200" height="90" viewBox="0 0 1200 90" xmlns="http://www.w3.org/2000/svg">
<rect width="100%" height="100%" fill="#f8f8f8"/>
<text x="600" y="36" text-anchor="middle" font-family="monospace" font-size="17">{title}</text>
<text x="600" y="64" text-anchor="middle" font-family="monospace" font-size="12">no samples</text>
</svg>
"##
    )
    .into_bytes()
}
