//! One event, one line: JSON for programs, text for people.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Instant;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Layer};

use super::quiet::{Quiet, Verdict};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Coloured text.
    Pretty,
}

/// Writes each event as a line, with the ids of the span it happened in.
///
/// The ids come from the current OpenTelemetry context, which follows the entered span: no span data is kept for logs.
#[derive(Debug)]
pub struct LogLayer<W> {
    format: Format,
    writer: W,
    quiet: Quiet,
}

impl<W, O> LogLayer<W>
where
    W: Fn() -> O,
    O: Write,
{
    /// A layer that writes each line to what `writer` returns.
    pub fn new(format: Format, writer: W) -> Self {
        Self { format, writer, quiet: Quiet::default() }
    }
}

impl<S, W, O> Layer<S> for LogLayer<W>
where
    S: Subscriber,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Verdict::Write { kept_back } = self.quiet.judge(event.metadata(), Instant::now()) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        if kept_back > 0 {
            fields.others.insert("kept_back".to_owned(), kept_back.into());
        }
        let ids = OtelContext::map_current(|context| {
            let span = context.span();
            let ids = span.span_context();
            ids.is_valid().then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
        });
        let line = match self.format {
            Format::Json => json(event, fields, ids),
            Format::Pretty => pretty(event, &fields, ids),
        };
        // There is nowhere left to report a closed standard output.
        let _ = (self.writer)().write_all(line.as_bytes());
    }
}

fn now() -> String {
    let mut text = String::with_capacity(27);
    // The clock can always be written to a string.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// A line for programs; the order of the keys is part of it.
#[derive(serde::Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

fn json(event: &Event<'_>, fields: Fields, ids: Option<(String, String)>) -> String {
    let (trace_id, span_id) = ids.unzip();
    let line = Line {
        timestamp: now(),
        level: event.metadata().level().as_str(),
        target: event.metadata().target(),
        message: fields.message,
        trace_id,
        span_id,
        fields: fields.others,
    };
    let mut text = serde_json::to_string(&line).expect("a map with string keys can be written");
    text.push('\n');
    text
}

fn pretty(event: &Event<'_>, fields: &Fields, ids: Option<(String, String)>) -> String {
    let (colour, level) = match *event.metadata().level() {
        Level::ERROR => ("31", "ERROR"),
        Level::WARN => ("33", "WARN "),
        Level::INFO => ("32", "INFO "),
        Level::DEBUG => ("34", "DEBUG"),
        Level::TRACE => ("35", "TRACE"),
    };
    let mut line = format!("\x1b[2m{}\x1b[0m \x1b[{colour}m{level}\x1b[0m {}", now(), fields.message);
    let mut pair = |name: &str, value: &str| {
        let _ = write!(line, " \x1b[2m{name}=\x1b[0m{value}");
    };
    for (name, value) in &fields.others {
        pair(name, &value.to_string());
    }
    if let Some((trace_id, span_id)) = ids {
        pair("trace_id", &trace_id);
        pair("span_id", &span_id);
    }
    line.push('\n');
    line
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
