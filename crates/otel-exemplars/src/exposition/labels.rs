//! One time series' labels as text, in an order that depends on nothing but the labels.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use opentelemetry::Value;

use super::names::label_name;
use super::scopes::ScopeLabel;
use super::values::{is_empty, push_value};

/// Renders label sets one after another; names that need escaping are escaped once per page.
#[derive(Default)]
pub(super) struct Labels<'a> {
    escaped: HashMap<&'a str, Option<Rc<str>>>,
    entries: Vec<Entry<'a>>,
    text: String,
}

struct Entry<'a> {
    name: Name<'a>,
    original: &'a str,
    value: &'a Value,
}

enum Name<'a> {
    AsIs(&'a str),
    Escaped(Rc<str>),
}

impl Name<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::AsIs(name) => name,
            Self::Escaped(name) => name,
        }
    }
}

/// What a histogram's own `le` attribute is called, as that name is the bucket's.
const EXPORTED_LE: &str = "exported_le";

impl<'a> Labels<'a> {
    /// Renders `name="value",...` without braces; `nameless` is called for an attribute that can have no label.
    ///
    /// Attributes whose names are equal after escaping share a label: values joined by `;` in the order of the original
    /// names. An empty value gives no label. Both as Prometheus does.
    pub(super) fn render(
        &mut self,
        attributes: impl Iterator<Item = (&'a str, &'a Value)>,
        scope: &'a [ScopeLabel<'_>],
        is_histogram: bool,
        mut nameless: impl FnMut(),
    ) -> &str {
        self.entries.clear();
        self.text.clear();
        for (original, value) in attributes {
            // The metric's name is no attribute's business; Prometheus drops it, too.
            if original == "__name__" {
                continue;
            }
            let name = match original {
                "le" if is_histogram => Name::AsIs(EXPORTED_LE),
                _ => match self.name(original) {
                    Some(name) => name,
                    None => {
                        nameless();
                        continue;
                    }
                },
            };
            self.entries.push(Entry { name, original, value });
        }
        self.entries.extend(scope.iter().map(|(name, value)| Entry { name: Name::AsIs(name), original: name, value }));
        self.entries.sort_unstable_by(Entry::order);
        let text = &mut self.text;
        for same in self.entries.chunk_by(|a, b| a.name.as_str() == b.name.as_str()) {
            // Leading empty values vanish, later ones leave their separator: that is how Prometheus joins them.
            let Some(first) = same.iter().position(|entry| !is_empty(entry.value)) else { continue };
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(same[first].name.as_str());
            text.push_str("=\"");
            push_value(text, same[first].value);
            for entry in &same[first + 1..] {
                text.push(';');
                push_value(text, entry.value);
            }
            text.push('"');
        }
        &self.text
    }

    fn name(&mut self, original: &'a str) -> Option<Name<'a>> {
        let bytes = original.as_bytes();
        let is_plain = bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if is_plain {
            return Some(Name::AsIs(original));
        }
        let escaped = self.escaped.entry(original).or_insert_with(|| label_name(original).map(Rc::from));
        escaped.as_ref().map(|name| Name::Escaped(Rc::clone(name)))
    }
}

impl Entry<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let by_name = self.name.as_str().cmp(other.name.as_str());
        by_name.then_with(|| self.original.cmp(other.original))
    }
}
