//! Which samples somebody wants to see.

use std::time::Duration;

use super::{Profile, Sample};

/// What samples must have; the default takes all of them, and of several conditions each must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The trace.
    pub trace_id: Option<u128>,
    /// The innermost span, or the outermost one of its trace in this process.
    pub span_id: Option<u64>,
    /// The name of the innermost span, or of the outermost one of its trace in this process.
    pub span_name: Option<String>,
    /// Only what is younger, give or take a 120th of the recorder's window. For recordings: the samples of a [`Profile`]
    /// have no times.
    pub since: Option<Duration>,
}

impl Profile {
    /// Keeps the samples whose labels match the filter. Its `since` is not looked at.
    pub fn retain(&mut self, filter: &Filter) {
        let trace_id = filter.trace_id.map(|id| format!("{id:032x}"));
        let span_id = filter.span_id.map(|id| format!("{id:016x}"));
        let has = |sample: &Sample, keys: &[&str], wanted: Option<&str>| {
            wanted.is_none_or(|wanted| keys.iter().any(|key| sample.label(key) == Some(wanted)))
        };
        self.samples.retain(|sample| {
            has(sample, &["trace_id"], trace_id.as_deref())
                && has(sample, &["span_id", "local_root_span_id"], span_id.as_deref())
                && has(sample, &["span_name", "local_root_span_name"], filter.span_name.as_deref())
        });
    }
}

impl Sample {
    /// The text of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| *name == key).map(|(_, text)| &**text)
    }
}
