//! The `OTEL_*` variables, as the specification defines them.

mod resource;
mod sampler;

use std::time::Duration;

use super::otlp::{self, Export, Signal};
use super::source::Reader;

pub(super) use resource::pairs;
pub use sampler::Sampler;

/// The batch span processor's settings (`OTEL_BSP_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// Longest time that an ended span waits for its export.
    pub schedule_delay: Duration,
    /// Longest time of one export.
    pub export_timeout: Duration,
    /// Spans that may wait; one more is dropped.
    pub max_queue_size: usize,
    /// Spans of one export.
    pub max_export_batch_size: usize,
}

/// The periodic metric reader's settings (`OTEL_METRIC_EXPORT_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSettings {
    /// Time between two exports.
    pub interval: Duration,
    /// Longest time of one export.
    pub timeout: Duration,
}

/// The span limits (`OTEL_SPAN_*_LIMIT` and kin).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes of one span.
    pub attributes: u32,
    /// Events of one span.
    pub events: u32,
    /// Links of one span.
    pub links: u32,
    /// Attributes of one event.
    pub attributes_per_event: u32,
    /// Attributes of one link.
    pub attributes_per_link: u32,
}

/// What the `OTEL_*` variables say.
#[derive(Debug, Clone)]
pub struct Otel {
    /// `OTEL_SDK_DISABLED`: no spans, no metrics, no `/metrics`.
    pub disabled: bool,
    /// `service.name`.
    pub service_name: String,
    /// Further resource attributes, in the order given.
    pub resource_attributes: Vec<(String, String)>,
    /// Whether `traceparent` is read.
    pub trace_context: bool,
    /// The head sampler.
    pub sampler: Sampler,
    /// Where spans go; `None` means nowhere.
    pub traces: Option<Export>,
    /// Where metrics go; `None` means to `/metrics` alone.
    pub metrics: Option<Export>,
    /// The batch span processor.
    pub batch: BatchSettings,
    /// The periodic metric reader.
    pub metric: MetricSettings,
    /// The span limits.
    pub limits: SpanLimits,
    /// Whether `OTEL_METRICS_EXEMPLAR_FILTER` leaves exemplars on.
    pub exemplars: bool,
}

/// Variables of the specification that this program cannot honour; set, they are refused rather than forgotten.
const WITHOUT_EFFECT: [(&str, &str); 8] = [
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "this build speaks no TLS"),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "this build speaks no TLS"),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "this build speaks no TLS"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "this build speaks no TLS"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "this build speaks no TLS"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the SDK does not shorten values"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the SDK does not shorten values"),
    ("OTEL_CONFIG_FILE", "this program is configured by variables and flags"),
];

pub(super) fn read(reader: &mut Reader<'_>) -> Otel {
    let disabled = boolean(reader, "OTEL_SDK_DISABLED");
    let (service_name, resource_attributes) = resource::read(reader);
    let batch = BatchSettings {
        schedule_delay: milliseconds(reader, "OTEL_BSP_SCHEDULE_DELAY", 1_000),
        export_timeout: milliseconds(reader, "OTEL_BSP_EXPORT_TIMEOUT", 5_000),
        max_queue_size: size(reader, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048),
        max_export_batch_size: size(reader, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
    };
    if batch.max_export_batch_size > batch.max_queue_size {
        reader.refuse(
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            &batch.max_export_batch_size.to_string(),
            &format!("is more than OTEL_BSP_MAX_QUEUE_SIZE={}", batch.max_queue_size),
            "lower it or raise the queue size",
        );
    }
    let metric = MetricSettings {
        interval: milliseconds(reader, "OTEL_METRIC_EXPORT_INTERVAL", 5_000),
        timeout: milliseconds(reader, "OTEL_METRIC_EXPORT_TIMEOUT", 5_000),
    };
    for (name, reason) in WITHOUT_EFFECT {
        if let Some(value) = reader.text(name) {
            reader.refuse(name, &value, "would have no effect", &format!("unset it: {reason}"));
        }
    }
    one_of(reader, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", &["delta", "lowmemory"]);
    one_of(
        reader,
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "explicit_bucket_histogram",
        &["base2_exponential_bucket_histogram"],
    );
    Otel {
        disabled,
        service_name,
        resource_attributes,
        trace_context: propagators(reader),
        sampler: sampler::read(reader),
        traces: exporter(reader, Signal::Traces),
        metrics: exporter(reader, Signal::Metrics),
        batch,
        metric,
        limits: limits(reader),
        exemplars: exemplar_filter(reader),
    }
}

/// `true` in any case is true; all else is false, and worth a warning unless it says so.
fn boolean(reader: &mut Reader<'_>, name: &str) -> bool {
    reader.lenient(name, false, ("is neither true nor false", "write true or false"), |text| {
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    })
}

/// A number of milliseconds above zero. Zero would mean "no limit", under which no exemplar could be trusted.
pub(super) fn milliseconds(reader: &mut Reader<'_>, name: &str, default: u64) -> Duration {
    let millis = reader.lenient(
        name,
        default,
        ("is no whole number of milliseconds from 1 to 86400000", "write for example 5000"),
        |text| text.parse().ok().filter(|n| *n <= 86_400_000),
    );
    if millis == 0 {
        reader.refuse(
            name,
            "0",
            "would mean no limit, which the exemplars' deadline cannot allow",
            "write a number of milliseconds from 1 to 86400000",
        );
    }
    Duration::from_millis(millis)
}

fn size(reader: &mut Reader<'_>, name: &str, default: usize) -> usize {
    reader.lenient(name, default, ("is no whole number from 1 to 10000000", "write for example 2048"), |text| {
        text.parse().ok().filter(|n| (1..=10_000_000).contains(n))
    })
}

fn limits(reader: &mut Reader<'_>) -> SpanLimits {
    let mut limit = |name: &str, default: u32| {
        reader.lenient(name, default, ("is no whole number from 0 to 4294967295", "write for example 128"), |text| {
            text.parse().ok()
        })
    };
    let any = limit("OTEL_ATTRIBUTE_COUNT_LIMIT", 128);
    SpanLimits {
        attributes: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", any),
        events: limit("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
        links: limit("OTEL_SPAN_LINK_COUNT_LIMIT", 128),
        attributes_per_event: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 128),
        attributes_per_link: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 128),
    }
}

fn exporter(reader: &mut Reader<'_>, signal: Signal) -> Option<Export> {
    let name = signal.exporter_variable();
    let chosen = reader.lenient(
        name,
        "otlp".to_owned(),
        ("is no exporter of the specification", "write otlp or none"),
        |text| {
            let text = text.to_ascii_lowercase();
            ["otlp", "none", "console", "logging", "prometheus", "zipkin", "jaeger"]
                .contains(&text.as_str())
                .then_some(text)
        },
    );
    // Read also when nothing is exported, so that its faults are reported.
    let export = otlp::read(reader, signal);
    match chosen.as_str() {
        "otlp" => Some(export),
        "none" => None,
        other => {
            let fix = match signal {
                Signal::Traces => "write otlp or none",
                Signal::Metrics => "write otlp or none; /metrics is always served",
            };
            reader.refuse(name, other, "is an exporter that this build does not have", fix);
            None
        }
    }
}

/// `tracecontext` is implemented; `baggage` and `none` cost nothing to accept.
fn propagators(reader: &mut Reader<'_>) -> bool {
    let Some(text) = reader.text("OTEL_PROPAGATORS") else { return true };
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    if let Some(other) = names.iter().find(|name| !["tracecontext", "baggage", "none"].contains(&name.as_str())) {
        reader.refuse(
            "OTEL_PROPAGATORS",
            other,
            "is a propagator that this build does not have",
            "write tracecontext, baggage or none",
        );
    }
    names.iter().any(|name| name == "tracecontext")
}

fn exemplar_filter(reader: &mut Reader<'_>) -> bool {
    let name = "OTEL_METRICS_EXEMPLAR_FILTER";
    let known = ["trace_based", "always_off", "always_on"];
    let filter = reader.lenient(
        name,
        "trace_based".to_owned(),
        ("is no filter of the specification", "write trace_based or always_off"),
        |text| Some(text.to_ascii_lowercase()).filter(|text| known.contains(&text.as_str())),
    );
    if filter == "always_on" {
        reader.refuse(name, &filter, "would take exemplars that name no trace", "write trace_based or always_off");
    }
    filter != "always_off"
}

/// A variable with one value that is honoured and others that the specification knows.
fn one_of(reader: &mut Reader<'_>, name: &str, honoured: &str, known: &[&str]) {
    let Some(text) = reader.text(name) else { return };
    let lower = text.trim().to_ascii_lowercase();
    if known.contains(&lower.as_str()) {
        reader.refuse(name, &text, "is not supported", &format!("unset it or write {honoured}"));
    } else if lower != honoured {
        reader.ignore(name, &text, "is no value of the specification", &format!("write {honoured}"));
    }
}
