//! Labels for families whose series come from several instrumentation scopes.
//!
//! Prometheus writes no scope labels for what it receives over OTLP unless it is told to, so a family of one scope has
//! none here either. Where several scopes share a name, the series would be indistinguishable without them.

use std::borrow::Cow;
use std::collections::HashMap;

use opentelemetry::{InstrumentationScope, Value};

use super::families::Member;
use super::names::label_name;

/// A label's name and value.
pub(super) type ScopeLabel<'a> = (Cow<'a, str>, Cow<'a, Value>);

/// Gives each member the labels that its scope needs among the others: its name, then version, schema and attributes.
pub(super) fn tell_apart(members: &mut [Member<'_>]) {
    let first = members[0].scope;
    if members.iter().all(|member| member.scope == first) {
        return;
    }
    for detail in 1..=4 {
        for member in members.iter_mut() {
            member.scope_labels = labels(member.scope, detail);
        }
        if all_distinct(members) {
            return;
        }
    }
}

/// Different scopes have different labels.
fn all_distinct(members: &[Member<'_>]) -> bool {
    let mut seen: HashMap<String, &InstrumentationScope> = HashMap::new();
    members.iter().all(|member| {
        let labels = format!("{:?}", member.scope_labels);
        *seen.entry(labels).or_insert(member.scope) == member.scope
    })
}

fn labels(scope: &InstrumentationScope, detail: u8) -> Vec<ScopeLabel<'_>> {
    let text = |text: &str| Cow::Owned(Value::from(text.to_owned()));
    let mut labels: Vec<ScopeLabel<'_>> = vec![("otel_scope_name".into(), text(scope.name()))];
    if detail >= 2 {
        labels.extend(scope.version().map(|version| ("otel_scope_version".into(), text(version))));
    }
    if detail >= 3 {
        labels.extend(scope.schema_url().map(|url| ("otel_scope_schema_url".into(), text(url))));
    }
    if detail >= 4 {
        labels.extend(scope.attributes().filter_map(|attribute| {
            let name = label_name(&format!("otel_scope_{}", attribute.key))?.into_owned();
            Some((name.into(), Cow::Borrowed(&attribute.value)))
        }));
    }
    labels
}
