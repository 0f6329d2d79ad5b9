//! The head sampler (`OTEL_TRACES_SAMPLER`).

use crate::config::source::Reader;

/// Which traces are recorded and sampled by the SDK.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampler {
    /// Every trace.
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// This share of the traces, by trace id.
    TraceIdRatio(f64),
    /// As the parent decided, else every trace.
    ParentBasedAlwaysOn,
    /// As the parent decided, else none.
    ParentBasedAlwaysOff,
    /// As the parent decided, else this share.
    ParentBasedTraceIdRatio(f64),
}

pub(super) fn read(reader: &mut Reader<'_>) -> Sampler {
    let name = reader.lenient(
        "OTEL_TRACES_SAMPLER",
        "parentbased_always_on".to_owned(),
        (
            "is no sampler of the specification",
            "write always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio",
        ),
        |text| {
            let text = text.to_ascii_lowercase();
            let known = [
                "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
                "parentbased_traceidratio", "jaeger_remote", "parentbased_jaeger_remote", "xray",
            ];
            known.contains(&text.as_str()).then_some(text)
        },
    );
    let ratio = if name.ends_with("traceidratio") {
        reader.lenient("OTEL_TRACES_SAMPLER_ARG", 1.0, ("is no share from 0 to 1", "write for example 0.25"), |text| {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
        })
    } else {
        1.0
    };
    match name.as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatio(ratio),
        "parentbased_always_on" => Sampler::ParentBasedAlwaysOn,
        "parentbased_always_off" => Sampler::ParentBasedAlwaysOff,
        "parentbased_traceidratio" => Sampler::ParentBasedTraceIdRatio(ratio),
        remote => {
            reader.refuse(
                "OTEL_TRACES_SAMPLER",
                remote,
                "is a sampler that this build does not have",
                "use one of the six built-in samplers",
            );
            Sampler::ParentBasedAlwaysOn
        }
    }
}
