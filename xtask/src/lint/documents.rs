//! Queries and words in code of the documents.
//!
//! A block that is marked `promql` holds one query a line; an indented line goes on with the one before, and `#`
//! begins a comment. A block marked `promql seed` shows somebody else's query and is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Folders that hold no documents of ours.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];

/// A part of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

/// What a document holds.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) queries: Vec<Part>,
    /// What stands between backticks within a line.
    pub(super) code: Vec<Part>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut fence: Option<&str> = None;
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            if let Some(info) = line.trim_start().strip_prefix("```") {
                fence = if fence.is_some() { None } else { Some(info.trim()) };
                continue;
            }
            match fence {
                Some(info) if info.split_whitespace().next() == Some("promql") => {
                    let ours = info.split_whitespace().nth(1) != Some("seed");
                    let query = line.split('#').next().unwrap_or_default();
                    if !ours || query.trim().is_empty() {
                        continue;
                    }
                    match document.queries.last_mut().filter(|_| query.starts_with(' ')) {
                        Some(last) => last.text = format!("{} {}", last.text, query.trim()),
                        None => document.queries.push(Part { line: line_number, text: query.trim().to_owned() }),
                    }
                }
                Some(_) => {}
                None => {
                    let spans = line.split('`').skip(1).step_by(2);
                    document.code.extend(spans.map(|span| Part { line: line_number, text: span.to_owned() }));
                }
            }
        }
        document
    }
}

/// All Markdown files below `dir`.
///
/// # Errors
/// If a folder cannot be read.
pub(super) fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.file_name().is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped)) {
                found.extend(files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_ours_and_words_in_code_are_found_with_their_lines() {
        let document = Document::parse(
            "A `word_a` and `b`.\n```promql\n# what\nsum(a)  # why\n  / sum(b)\nc\n```\n```promql seed\nrate(d)\n```\n```sh\n`e`\n```\n",
        );
        let queries: Vec<_> = document.queries.iter().map(|part| (part.line, part.text.as_str())).collect();
        assert_eq!(queries, [(4, "sum(a) / sum(b)"), (6, "c")]);
        let code: Vec<_> = document.code.iter().map(|part| part.text.as_str()).collect();
        assert_eq!(code, ["word_a", "b"]);
    }
}
