//! A span as bytes: what a span costs is their number, and a trace is one piece of memory.
//!
//! Numbers have seven bits per byte. A text is an odd number, twice its number in [`super::names`] and 1, or an even one,
//! twice its length, and its bytes. Only this process reads what it wrote; what cannot be read ends a record early.

use std::time::SystemTime;

use opentelemetry::trace::{SpanKind, Status as SdkStatus};
use opentelemetry::{KeyValue, Value as SdkValue};
use opentelemetry_sdk::trace::SpanData;
use otel_exemplars::MARK;

use super::names::{Names, Role, Table};
use super::span::{Event, Kind, Link, Span, Status, Value};

/// Longer texts are cut, with a note: 1 MB in an attribute would cost thousands of traces.
const MAX_TEXT_BYTES: usize = 2_048;

/// Attributes, events and links stop here, and what is left out is counted: a span that is larger than this says nothing
/// that a page could show.
const MAX_RECORD_BYTES: usize = 32 << 10;

const REMOTE_PARENT: u8 = 1;
const MARKED: u8 = 2;
const OK: u8 = 4;
const ERROR: u8 = 8;
/// The kind stands in the upper bits.
const KIND: u32 = 4;

/// Appends a span's record to `to`.
pub(super) fn write(to: &mut Vec<u8>, span: &SpanData, names: &Names) {
    let mut missing = Vec::new();
    let table = names.read();
    Writer { start: to.len(), to, table: &table, missing: &mut missing, left_out: 0 }.span(span);
    drop(table);
    if !missing.is_empty() {
        names.learn(&missing);
    }
}

struct Writer<'a> {
    to: &'a mut Vec<u8>,
    start: usize,
    table: &'a Table,
    /// Texts that could have a number the next time.
    missing: &'a mut Vec<(String, Role)>,
    left_out: u64,
}

impl Writer<'_> {
    fn span(&mut self, span: &SpanData) {
        let marked = span.attributes.iter().any(is_mark);
        let kind: u8 = match span.span_kind {
            SpanKind::Internal => 0,
            SpanKind::Server => 1,
            SpanKind::Client => 2,
            SpanKind::Producer => 3,
            SpanKind::Consumer => 4,
        };
        let mut flags = kind << KIND;
        flags |= if span.parent_span_is_remote { REMOTE_PARENT } else { 0 } | if marked { MARKED } else { 0 };
        flags |= match &span.status {
            SdkStatus::Unset => 0,
            SdkStatus::Ok => OK,
            SdkStatus::Error { .. } => ERROR,
        };
        self.to.push(flags);
        self.to.extend_from_slice(&span.span_context.span_id().to_bytes());
        self.to.extend_from_slice(&span.parent_span_id.to_bytes());
        let start = nanos(span.start_time);
        self.to.extend_from_slice(&start.to_be_bytes());
        self.number(nanos(span.end_time).saturating_sub(start));
        self.text(&span.name, Role::Name);
        if let SdkStatus::Error { description } = &span.status {
            self.text(description, Role::Value);
        }
        // The mark is a flag here.
        self.attributes(span.attributes.iter().filter(|one| !is_mark(one)));
        for event in &span.events.events {
            if self.is_full() {
                continue;
            }
            self.to.push(1);
            self.number(nanos(event.timestamp).saturating_sub(start));
            self.text(&event.name, Role::Name);
            self.attributes(event.attributes.iter());
        }
        self.to.push(0);
        for link in &span.links.links {
            if self.is_full() {
                continue;
            }
            self.to.push(1);
            self.to.extend_from_slice(&link.span_context.trace_id().to_bytes());
            self.to.extend_from_slice(&link.span_context.span_id().to_bytes());
        }
        self.to.push(0);
        let dropped = [span.dropped_attributes_count, span.events.dropped_count, span.links.dropped_count];
        self.number(self.left_out + dropped.into_iter().map(u64::from).sum::<u64>());
    }

    /// Whether nothing more is written; what would have been counts as left out.
    fn is_full(&mut self) -> bool {
        let full = self.to.len() - self.start > MAX_RECORD_BYTES;
        self.left_out += u64::from(full);
        full
    }

    fn attributes<'a>(&mut self, attributes: impl Iterator<Item = &'a KeyValue>) {
        for KeyValue { key, value, .. } in attributes {
            if self.is_full() {
                continue;
            }
            match value {
                SdkValue::Bool(value) => {
                    self.tagged(if *value { 2 } else { 1 }, key.as_str());
                }
                SdkValue::I64(value) => {
                    self.tagged(3, key.as_str());
                    // Small numbers of either sign are short.
                    self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
                }
                SdkValue::F64(value) => {
                    self.tagged(4, key.as_str());
                    self.to.extend_from_slice(&value.to_bits().to_be_bytes());
                }
                SdkValue::String(value) => {
                    self.tagged(5, key.as_str());
                    self.text(value.as_str(), Role::Value);
                }
                other => {
                    self.tagged(5, key.as_str());
                    self.text(&other.to_string(), Role::Value);
                }
            }
        }
        self.to.push(0);
    }

    fn tagged(&mut self, tag: u8, key: &str) {
        self.to.push(tag);
        self.text(key, Role::Name);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.to.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.to.push((value & 0x7f) as u8);
    }

    fn text(&mut self, text: &str, role: Role) {
        if let Some(number) = self.table.number(text) {
            return self.number(u64::from(number) << 1 | 1);
        }
        if self.table.takes(text, role) {
            self.missing.push((text.to_owned(), role));
        }
        if text.len() <= MAX_TEXT_BYTES {
            self.number((text.len() as u64) << 1);
            return self.to.extend_from_slice(text.as_bytes());
        }
        let end = text.floor_char_boundary(MAX_TEXT_BYTES);
        let cut = format!("{}… ({} bytes)", &text[..end], text.len());
        self.number((cut.len() as u64) << 1);
        self.to.extend_from_slice(cut.as_bytes());
    }
}

fn is_mark(attribute: &KeyValue) -> bool {
    attribute.key.as_str() == MARK && attribute.value == SdkValue::Bool(true)
}

pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The id of a record's span, if it was marked for an exemplar; without reading further.
pub(super) fn marked_span(record: &[u8]) -> Option<u64> {
    let (flags, rest) = record.split_first()?;
    let span_id = u64::from_be_bytes(*rest.first_chunk()?);
    (flags & MARKED != 0).then_some(span_id)
}

/// What every record begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head<'a> {
    pub(super) span_id: u64,
    pub(super) parent_id: Option<u64>,
    pub(super) remote_parent: bool,
    pub(super) marked: bool,
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) name: &'a str,
    pub(super) ok: bool,
    /// What was said of the error, if it ended with one.
    pub(super) error: Option<&'a str>,
}

/// A value that was not copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ValueRef<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl ValueRef<'_> {
    fn to_owned(self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(value) => Value::Text(value.to_owned()),
        }
    }

    /// Whether this is what somebody wrote into a search.
    pub(super) fn is(self, text: &str) -> bool {
        match self {
            Self::Text(value) => value == text,
            other => other.to_owned().to_string() == text,
        }
    }
}

/// Reads a record from its start.
pub(super) struct Reading<'a> {
    rest: &'a [u8],
    table: &'a Table,
}

impl<'a> Reading<'a> {
    pub(super) fn new(record: &'a [u8], table: &'a Table) -> Self {
        Self { rest: record, table }
    }

    /// The head; call it first.
    pub(super) fn head(&mut self) -> Option<Head<'a>> {
        let [flags] = self.bytes()?;
        let span_id = u64::from_be_bytes(self.bytes()?);
        let parent_id = Some(u64::from_be_bytes(self.bytes()?)).filter(|id| *id != 0);
        let start = u64::from_be_bytes(self.bytes()?);
        let duration = self.number()?;
        let name = self.text()?;
        let error = if flags & ERROR == 0 { None } else { Some(self.text()?) };
        Some(Head {
            span_id,
            parent_id,
            remote_parent: flags & REMOTE_PARENT != 0,
            marked: flags & MARKED != 0,
            kind: match flags >> KIND {
                1 => Kind::Server,
                2 => Kind::Client,
                3 => Kind::Producer,
                4 => Kind::Consumer,
                _ => Kind::Internal,
            },
            start,
            duration,
            name,
            ok: flags & OK != 0,
            error,
        })
    }

    /// The next attribute of the span, and after the last one of each event in turn.
    pub(super) fn attribute(&mut self) -> Option<(&'a str, ValueRef<'a>)> {
        let [tag] = self.bytes()?;
        if tag == 0 {
            return None;
        }
        let key = self.text()?;
        let value = match tag {
            1 | 2 => ValueRef::Bool(tag == 2),
            3 => {
                let number = self.number()?;
                ValueRef::Int((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
            }
            4 => ValueRef::Float(f64::from_bits(u64::from_be_bytes(self.bytes()?))),
            _ => ValueRef::Text(self.text()?),
        };
        Some((key, value))
    }

    /// The whole record.
    pub(super) fn span(mut self) -> Option<Span> {
        let head = self.head()?;
        let attributes = self.attributes();
        let mut events = Vec::new();
        while self.bytes::<1>()? == [1] {
            let unix_ns = head.start.saturating_add(self.number()?);
            events.push(Event { unix_ns, name: self.text()?.to_owned(), attributes: self.attributes() });
        }
        let mut links = Vec::new();
        while self.bytes::<1>()? == [1] {
            let (trace_id, span_id) = (u128::from_be_bytes(self.bytes()?), u64::from_be_bytes(self.bytes()?));
            links.push(Link { trace_id, span_id });
        }
        Some(Span {
            span_id: head.span_id,
            parent_id: head.parent_id,
            remote_parent: head.remote_parent,
            name: head.name.to_owned(),
            kind: head.kind,
            start_unix_ns: head.start,
            duration_ns: head.duration,
            status: match head.error {
                Some(error) => Status::Error(error.to_owned()),
                None if head.ok => Status::Ok,
                None => Status::Unset,
            },
            marked: head.marked,
            attributes,
            events,
            links,
            left_out: self.number()?,
        })
    }

    fn attributes(&mut self) -> Vec<(String, Value)> {
        std::iter::from_fn(|| self.attribute()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.bytes()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let number = self.number()?;
        if number & 1 == 1 {
            return self.table.text(number >> 1);
        }
        let (text, rest) = self.rest.split_at_checked(usize::try_from(number >> 1).ok()?)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }
}
