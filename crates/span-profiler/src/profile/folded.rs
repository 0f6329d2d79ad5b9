//! One line a stack, as the tools of flame graphs read it.

use std::fmt::Write as _;

use super::Symbolized;

/// A stack with less than one of so many parts of the whole is counted to its caller, so that a large profile does not
/// become gigabytes of text. It is less than a fiftieth of a pixel of a flame graph.
const PARTS: u64 = 50_000;

impl Symbolized {
    /// One line for each stack: the functions from the root to the leaf, separated by `;`, a space, the value. When
    /// samples carry spans, the name of the span is the root. A `;` within a name becomes a `,`. Stacks of less than
    /// 0.002 % of the whole end at the caller that has more.
    #[must_use]
    pub fn folded(&self, value: usize) -> String {
        let mut text = String::new();
        for (stack, count) in self.stacks(value, PARTS) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{stack} {count}");
        }
        text
    }
}
