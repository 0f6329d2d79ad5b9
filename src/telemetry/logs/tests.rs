use std::io::Write;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporterBuilder, SdkTracerProvider, SpanData};
use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `work` with these directives; returns the lines and the spans.
fn with(directives: &str, format: Format, work: impl FnOnce()) -> (String, Vec<SpanData>) {
    let buffer = Buffer::default();
    let spans = InMemorySpanExporterBuilder::new().build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let writer = buffer.clone();
    let lines = LogLayer::new(format, move || writer.clone());
    tracing::subscriber::with_default(subscriber(directives, Some(provider.tracer("test")), false, lines), work);
    let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    (text, spans.get_finished_spans().unwrap())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_inside_a_span_carries_its_ids_and_is_valid_json() {
    let (text, spans) = with("info", Format::Json, || {
        tracing::info_span!("outer").in_scope(|| {
            tracing::info!(text = "a \"quoted\"\nline", share = f64::NAN, count = 3_u64, "inside {}", 1);
        });
        tracing::info!("outside");
    });
    let lines = lines(&text);
    let ids = &spans[0].span_context;
    assert_eq!(lines[0]["trace_id"], ids.trace_id().to_string());
    assert_eq!(lines[0]["span_id"], ids.span_id().to_string());
    assert_eq!(lines[0]["message"], "inside 1");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["fields"]["text"], "a \"quoted\"\nline");
    assert_eq!(lines[0]["fields"]["count"], 3);
    assert_eq!(lines[0]["fields"]["share"], Value::Null);
    assert!(lines[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(lines[1].get("trace_id").is_none() && lines[1].get("fields").is_none());
}

#[test]
fn no_directive_hides_our_spans_and_none_shows_those_of_libraries() {
    for directives in ["off", "error", "trace", "phaselab=off"] {
        let (_, spans) = with(directives, Format::Json, || {
            tracing::info_span!("ours").in_scope(|| {
                assert!(opentelemetry::Context::current().has_active_span());
                tracing::info_span!(target: "h2::client", "theirs").in_scope(|| {});
            });
        });
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["ours"], "{directives}");
    }
}

#[test]
fn directives_choose_events_and_libraries_are_quiet_unless_named() {
    let work = || {
        tracing::debug!("ours");
        tracing::debug!(target: "hyper::proto", "theirs");
        tracing::warn!(target: "hyper::proto", "their warning");
    };
    let messages = |directives| {
        let (text, _) = with(directives, Format::Json, work);
        lines(&text).iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(messages("info"), ["their warning"]);
    assert_eq!(messages("debug"), ["ours", "their warning"]);
    assert_eq!(messages("info,hyper=debug"), ["theirs", "their warning"]);
    assert_eq!(messages("off"), [""; 0]);
}

#[test]
fn the_sdks_complaints_are_kept_back() {
    let (text, _) = with("info", Format::Json, || {
        for _ in 0..3 {
            tracing::warn!(name: "BatchSpanProcessor.SpanDroppingStarted", target: "opentelemetry_sdk", "full");
            tracing::error!(name: "BatchSpanProcessor.ExportError", target: "opentelemetry_sdk", "refused");
            tracing::warn!("ours is never kept back");
        }
    });
    let count = |message: &str| lines(&text).iter().filter(|line| line["message"] == message).count();
    assert_eq!((count("full"), count("refused"), count("ours is never kept back")), (1, 0, 3));
}

#[test]
fn people_get_text() {
    let (text, _) = with("info", Format::Pretty, || tracing::warn!(port = 8080, "taken"));
    assert!(text.contains("WARN") && text.contains("taken") && text.contains("port="), "{text}");
}
