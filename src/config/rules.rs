//! The timing rules under which every exemplar names a trace that the store keeps.

use std::time::Duration;

use super::Config;
use super::duration::format;

/// One rule, evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it holds.
    pub holds: bool,
    /// The rule in words.
    pub text: &'static str,
    /// The numbers it was evaluated with.
    pub numbers: String,
    /// How to make it hold.
    pub fix: &'static str,
    /// Whether `serve` refuses to start when it does not hold, because its own exemplars could not be trusted.
    pub required: bool,
}

/// The allowance for clocks and scheduling between the service and the collector.
const SLACK: Duration = Duration::from_secs(1);

/// Evaluates all rules.
#[must_use]
pub fn rules(config: &Config) -> Vec<Rule> {
    let tail = &config.tail_sampling;
    let batch = &config.otel.batch;
    let export = span_export_timeout(config);
    let arrival = config.request_timeout + batch.schedule_delay + export;
    let needed = 2.0 * tail_rate(config) * tail.decision_wait.as_secs_f64();
    vec![
        Rule {
            holds: config.request_timeout + SLACK < tail.decision_wait || !config.exemplars,
            text: "request timeout + 1s < decision wait, so that an exemplar has time to be acknowledged",
            numbers: format!("{} + 1s < {}", format(config.request_timeout), format(tail.decision_wait)),
            fix: "lower PHASELAB_REQUEST_TIMEOUT or raise PHASELAB_DECISION_WAIT",
            required: true,
        },
        Rule {
            holds: arrival < tail.decision_wait,
            text: "request timeout + span batch delay + span export timeout < decision wait, so that the last span of a trace arrives before its decision",
            numbers: format!(
                "{} + {} + {} = {} < {}",
                format(config.request_timeout),
                format(batch.schedule_delay),
                format(export),
                format(arrival),
                format(tail.decision_wait),
            ),
            fix: "lower PHASELAB_REQUEST_TIMEOUT, OTEL_BSP_SCHEDULE_DELAY or OTEL_EXPORTER_OTLP_TIMEOUT, or raise PHASELAB_DECISION_WAIT",
            required: false,
        },
        Rule {
            holds: tail.decision_wait_after_root <= tail.decision_wait,
            text: "decision wait after the root <= decision wait",
            numbers: format!("{} <= {}", format(tail.decision_wait_after_root), format(tail.decision_wait)),
            fix: "lower PHASELAB_DECISION_WAIT_AFTER_ROOT",
            required: false,
        },
        Rule {
            holds: batch.schedule_delay + SLACK <= tail.decision_wait_after_root,
            text: "span batch delay + 1s <= decision wait after the root, so that spans of one trace in two batches meet",
            numbers: format!("{} + 1s <= {}", format(batch.schedule_delay), format(tail.decision_wait_after_root)),
            fix: "raise PHASELAB_DECISION_WAIT_AFTER_ROOT or lower OTEL_BSP_SCHEDULE_DELAY",
            required: false,
        },
        Rule {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            holds: tail.num_traces as f64 >= needed,
            text: "num traces >= 2 x peak trace rate x decision wait, so that no trace is evicted before its decision",
            numbers: format!(
                "{} >= 2 x {}/s x {} = {needed:.0}",
                tail.num_traces,
                tail.peak_trace_rate,
                format(tail.decision_wait),
            ),
            fix: "raise PHASELAB_NUM_TRACES or lower PHASELAB_PEAK_TRACE_RATE",
            required: false,
        },
        Rule {
            holds: config.otel.metric.timeout <= config.otel.metric.interval,
            text: "metric export timeout <= metric export interval, so that exports do not pile up",
            numbers: format!("{} <= {}", format(config.otel.metric.timeout), format(config.otel.metric.interval)),
            fix: "lower OTEL_METRIC_EXPORT_TIMEOUT or raise OTEL_METRIC_EXPORT_INTERVAL",
            required: false,
        },
    ]
}

/// The longest time of one span export: the exporter's and the batch processor's limits both apply.
#[must_use]
pub(crate) fn span_export_timeout(config: &Config) -> Duration {
    let batch = config.otel.batch.export_timeout;
    config.otel.traces.as_ref().map_or(batch, |traces| traces.timeout.min(batch))
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn tail_rate(config: &Config) -> f64 {
    config.tail_sampling.peak_trace_rate as f64
}
