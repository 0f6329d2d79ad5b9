//! One line a stack, as the tools of flame graphs read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Sample, Symbolized};

/// The frame in place of a span's name.
const NO_SPAN: &str = "[no span]";

impl Symbolized {
    /// One line for each stack: the functions from the root to the leaf, separated by `;`, a space, the value. When
    /// samples carry spans, the name of the span is the root. A `;` within a name becomes a `,`.
    #[must_use]
    pub fn folded(&self, value: usize) -> String {
        let mut text = String::new();
        for (stack, count) in self.stacks(value) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{stack} {count}");
        }
        text
    }

    /// The joined names of each stack with its sum, without what sums up to nothing.
    pub(super) fn stacks(&self, value: usize) -> BTreeMap<String, i64> {
        let spans = self.profile.samples.iter().any(|sample| sample.label("span_name").is_some());
        let mut stacks: BTreeMap<String, i64> = BTreeMap::new();
        for (sample, count) in self.counted(value) {
            let stack = self.stack(sample, spans);
            if !stack.is_empty() {
                let sum = stacks.entry(stack).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        stacks.retain(|_, sum| *sum != 0);
        stacks
    }

    fn stack(&self, sample: &Sample, spans: bool) -> String {
        let mut line = String::new();
        if spans {
            push(&mut line, sample.label("span_name").filter(|name| !name.is_empty()).unwrap_or(NO_SPAN));
        }
        for frame in self.frames(sample).rev() {
            push(&mut line, &frame.symbol.name);
        }
        line
    }
}

/// What separates frames and lines must not be in a name.
fn push(line: &mut String, name: &str) {
    if !line.is_empty() {
        line.push(';');
    }
    line.extend(name.chars().map(|char| if char == ';' { ',' } else { printable(char) }));
}

/// What neither lines nor XML can hold becomes a space.
pub(super) fn printable(char: char) -> char {
    if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') { ' ' } else { char }
}
