//! A profile in a terminal.

use std::fmt::Write as _;

use crate::cli::amount::printable;
use crate::diagnostics::top::{SpanTop, Top};

/// Functions that are shown of a span.
const FUNCTIONS: usize = 8;

/// The spans and their functions, those with most first.
pub(super) fn table(top: &Top) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{}: {}", top.kind, amount(top.total, &top.unit));
    if top.seconds > 0.0 {
        let _ = write!(text, " in {:.1} s", top.seconds);
    }
    text.push('\n');
    if top.spans.is_empty() {
        text.push_str("no samples: nothing of it happened, or it is too little to be sampled\n");
    }
    for span in &top.spans {
        write_span(&mut text, span, top);
    }
    for comment in &top.comments {
        let _ = writeln!(text, "note: {}", printable(comment));
    }
    text
}

fn write_span(text: &mut String, span: &SpanTop, top: &Top) {
    let name = if span.name.is_empty() { "(outside of any span)".to_owned() } else { printable(&span.name) };
    let _ = writeln!(text, "\n{:>10}  {:>6}  {name}", amount(span.value, &top.unit), share(span.value, top.total));
    for function in span.functions.iter().take(FUNCTIONS) {
        let place = match (&function.file, function.line) {
            (Some(file), Some(line)) => format!("  {}:{line}", printable(end_of(file))),
            _ => String::new(),
        };
        let own = amount(function.flat, &top.unit);
        let name = printable(&function.name);
        let _ = writeln!(text, "{own:>10}  {:>6}    {name}{place}", share(function.flat, top.total));
    }
}

/// The last parts of a path: which file it is, not where it was built.
fn end_of(path: &str) -> &str {
    path.rmatch_indices('/').nth(2).map_or(path, |(at, _)| &path[at + 1..])
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn share(part: i64, whole: i64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1}%", 100.0 * part as f64 / whole as f64) }
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn amount(value: i64, unit: &str) -> String {
    crate::cli::amount::amount(value as f64, unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::top::FunctionTop;

    #[test]
    fn spans_come_with_their_functions() {
        let function = |name: &str, flat| FunctionTop {
            name: name.to_owned(),
            file: Some("/build/lab/src/a.rs".to_owned()),
            line: Some(7),
            flat,
            cum: flat,
        };
        let span =
            |name: &str, value| SpanTop { name: name.to_owned(), value, functions: vec![function("work", value)] };
        let top = Top {
            kind: "cpu".to_owned(),
            unit: "nanoseconds".to_owned(),
            total: 4_000_000_000,
            seconds: 10.0,
            spans: vec![span("cpu_loop", 3_000_000_000), span("", 1_000_000_000)],
            comments: vec!["2 samples were lost\u{1b}[31m".to_owned()],
        };
        let expected = "cpu: 4 s in 10.0 s\n\
            \n       3 s   75.0%  cpu_loop\n       3 s   75.0%    work  lab/src/a.rs:7\n\
            \n       1 s   25.0%  (outside of any span)\n       1 s   25.0%    work  lab/src/a.rs:7\n\
            note: 2 samples were lost\u{fffd}[31m\n";
        assert_eq!(table(&top), expected);
    }
}
