//! A span as pages and scripts see it.

use serde::Serialize;

/// One span of a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// Its id.
    #[serde(serialize_with = "span_id")]
    pub span_id: u64,
    /// The id of its parent, if it has one.
    #[serde(serialize_with = "parent_id", skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<u64>,
    /// Whether the parent is in another process.
    pub remote_parent: bool,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How it ended.
    pub status: Status,
    /// Whether it was marked for an exemplar.
    pub marked: bool,
    /// Its attributes, in the order in which they were set.
    pub attributes: Vec<(String, Value)>,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Spans of other traces that it belongs to.
    pub links: Vec<Link>,
    /// Attributes, events and links that were left out, by a limit of the SDK or of the store.
    pub left_out: u64,
}

impl Span {
    /// When it ended, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start_unix_ns.saturating_add(self.duration_ns)
    }

    /// Whether it ended with an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }
}

/// What a span says of its place between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the specification's own words")]
pub enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was said.
    Unset,
    /// Well, and somebody said so.
    Ok,
    /// Badly; why, if it was said.
    Error(String),
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the specification's own words")]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Also an array, as text.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// What happened in a span.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// What.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
}

/// A span of another trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The trace.
    #[serde(serialize_with = "trace_id")]
    pub trace_id: u128,
    /// The span.
    #[serde(serialize_with = "span_id")]
    pub span_id: u64,
}

pub(super) fn trace_id<S: serde::Serializer>(id: &u128, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{id:032x}"))
}

pub(super) fn span_id<S: serde::Serializer>(id: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{id:016x}"))
}

fn parent_id<S: serde::Serializer>(id: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    span_id(&id.unwrap_or_default(), to)
}
