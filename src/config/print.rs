//! The effective configuration, as variables that would produce it.

use std::fmt::Write as _;
use std::time::Duration;

use super::diagnostics::{LOOPBACK_PUBLISHED, TokenSource};
use super::duration::format;
use super::{Compression, Config, Database, Export, Protocol, Sampler};

/// Writes the effective configuration, one `NAME=value` per line; header values and tokens are withheld.
#[must_use]
pub fn print(config: &Config) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}={value}");
    };
    let tail = &config.tail_sampling;
    let database = match &config.database {
        Database::Memory => ":memory:".to_owned(),
        Database::File(path) => path.display().to_string(),
    };
    line("PHASELAB_LISTEN", &config.listen.to_string());
    line("PHASELAB_DATABASE", &database);
    line("PHASELAB_REQUEST_TIMEOUT", &format(config.request_timeout));
    line("PHASELAB_SHUTDOWN_TIMEOUT", &format(config.shutdown_timeout));
    line("PHASELAB_MAX_CONCURRENT_REQUESTS", &config.max_concurrent_requests.to_string());
    line("PHASELAB_MAX_WEBSOCKETS", &config.max_websockets.to_string());
    line("PHASELAB_MAX_BODY_BYTES", &config.max_body_bytes.to_string());
    line("PHASELAB_LOG", &config.log);
    line("PHASELAB_EXEMPLARS", if config.exemplars { "on" } else { "off" });
    line("PHASELAB_DECISION_WAIT", &format(tail.decision_wait));
    line("PHASELAB_DECISION_WAIT_AFTER_ROOT", &format(tail.decision_wait_after_root));
    line("PHASELAB_NUM_TRACES", &tail.num_traces.to_string());
    line("PHASELAB_PEAK_TRACE_RATE", &tail.peak_trace_rate.to_string());
    diagnostics(config, &mut line);
    otel(config, &mut line);
    text
}

fn diagnostics(config: &Config, line: &mut impl FnMut(&str, &str)) {
    match &config.diagnostics {
        None => line("PHASELAB_DIAGNOSTICS_LISTEN", "off"),
        Some(to) => {
            line("PHASELAB_DIAGNOSTICS_LISTEN", &to.listen.to_string());
            match to.token.as_ref().map(|token| &token.source) {
                None => {}
                Some(TokenSource::Variable) => line("PHASELAB_DIAGNOSTICS_TOKEN", "(withheld)"),
                Some(TokenSource::File(path)) => line("PHASELAB_DIAGNOSTICS_TOKEN_FILE", &path.display().to_string()),
            }
            line("PHASELAB_DIAGNOSTICS_OPEN", if to.open { LOOPBACK_PUBLISHED } else { "off" });
            line("PHASELAB_DIAGNOSTICS_HOSTS", &to.hosts.join(","));
            // The default is nobody's word: read back as a list it would name peers, and these are told the token.
            let peers = match (to.peers_named, to.peers.as_slice()) {
                (false, _) => String::new(),
                (true, []) => "none".to_owned(),
                (true, peers) => peers.join(","),
            };
            line("PHASELAB_DIAGNOSTICS_PEERS", &peers);
        }
    }
    line("PHASELAB_CONSOLE_BYTES", &config.console_bytes.to_string());
    line("PHASELAB_PROFILER_HZ", &config.profiler.hz.to_string());
    line("PHASELAB_PROFILER_WINDOW", &format(config.profiler.window));
    line("PHASELAB_PROFILER_BYTES", &config.profiler.bytes.to_string());
    line("PHASELAB_WORKER_TASKS", &config.worker.tasks.to_string());
    line("PHASELAB_WORKER_WORKERS", &config.worker.workers.to_string());
    line("PHASELAB_WORKER_DURATION", &format(config.worker.duration));
}

fn otel(config: &Config, line: &mut impl FnMut(&str, &str)) {
    let otel = &config.otel;
    line("OTEL_SDK_DISABLED", &otel.disabled.to_string());
    line("OTEL_SERVICE_NAME", &otel.service_name);
    let attributes: Vec<_> = otel.resource_attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    line("OTEL_RESOURCE_ATTRIBUTES", &attributes.join(","));
    line("OTEL_PROPAGATORS", if otel.trace_context { "tracecontext" } else { "none" });
    let (sampler, share) = match otel.sampler {
        Sampler::AlwaysOn => ("always_on", None),
        Sampler::AlwaysOff => ("always_off", None),
        Sampler::TraceIdRatio(share) => ("traceidratio", Some(share)),
        Sampler::ParentBasedAlwaysOn => ("parentbased_always_on", None),
        Sampler::ParentBasedAlwaysOff => ("parentbased_always_off", None),
        Sampler::ParentBasedTraceIdRatio(share) => ("parentbased_traceidratio", Some(share)),
    };
    line("OTEL_TRACES_SAMPLER", sampler);
    if let Some(share) = share {
        line("OTEL_TRACES_SAMPLER_ARG", &share.to_string());
    }
    line("OTEL_BSP_SCHEDULE_DELAY", &millis(otel.batch.schedule_delay));
    line("OTEL_BSP_EXPORT_TIMEOUT", &millis(otel.batch.export_timeout));
    line("OTEL_BSP_MAX_QUEUE_SIZE", &otel.batch.max_queue_size.to_string());
    line("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &otel.batch.max_export_batch_size.to_string());
    line("OTEL_METRIC_EXPORT_INTERVAL", &millis(otel.metric.interval));
    line("OTEL_METRIC_EXPORT_TIMEOUT", &millis(otel.metric.timeout));
    line("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &otel.limits.attributes.to_string());
    line("OTEL_SPAN_EVENT_COUNT_LIMIT", &otel.limits.events.to_string());
    line("OTEL_SPAN_LINK_COUNT_LIMIT", &otel.limits.links.to_string());
    line("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &otel.limits.attributes_per_event.to_string());
    line("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &otel.limits.attributes_per_link.to_string());
    for (signal, to) in [("TRACES", &otel.traces), ("METRICS", &otel.metrics)] {
        line(&format!("OTEL_{signal}_EXPORTER"), if to.is_some() { "otlp" } else { "none" });
        if let Some(to) = to {
            export(signal, to, line);
        }
    }
}

fn export(signal: &str, to: &Export, line: &mut impl FnMut(&str, &str)) {
    let mut line = |name: &str, value: &str| line(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), value);
    line(
        "PROTOCOL",
        match to.protocol {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
        },
    );
    line("ENDPOINT", &to.endpoint);
    let headers: Vec<_> = to.headers.iter().map(|(name, _)| format!("{name}=(withheld)")).collect();
    line("HEADERS", &headers.join(","));
    line(
        "COMPRESSION",
        match to.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
        },
    );
    line("TIMEOUT", &millis(to.timeout));
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
