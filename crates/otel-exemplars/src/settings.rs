//! What a process decides about its exemplars, and the rules between those decisions.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::Exemplars;
use crate::listener::{Listener, PickedExemplar};

/// The margin between the latest acknowledgement and the tail sampler's decision, for what the collector's own
/// pipeline and its clock take.
const MARGIN: Duration = Duration::from_secs(1);

/// What to do in traces whose root span is in another process.
///
/// A tail sampler waits `decision_wait` from the first span of a trace that it sees. When a trace began elsewhere that
/// span may have arrived long before ours, and the decision may be made before our mark gets there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteParents {
    /// Offer no exemplars from such traces. The promise that each exemplar resolves holds whatever the callers do.
    #[default]
    Skip,
    /// Offer them. Right where every caller of the service finishes its own part of a trace within `decision_wait`, or
    /// where traces are not tail-sampled.
    Take,
}

/// Builds [`Exemplars`].
#[derive(Clone, Debug)]
pub struct ExemplarsBuilder {
    pub(crate) enabled: bool,
    pub(crate) decision_wait: Duration,
    pub(crate) max_trace_duration: Duration,
    pub(crate) window: Duration,
    pub(crate) max_series: usize,
    pub(crate) max_waiting: usize,
    pub(crate) remote_parents: RemoteParents,
    pub(crate) listener: Option<Listener>,
}

impl Default for ExemplarsBuilder {
    fn default() -> Self {
        Self {
            enabled: true,
            decision_wait: Duration::from_secs(30),
            max_trace_duration: Duration::from_secs(20),
            window: Duration::from_secs(5),
            max_series: 2_000,
            max_waiting: 4_096,
            remote_parents: RemoteParents::default(),
            listener: None,
        }
    }
}

impl ExemplarsBuilder {
    /// Switches exemplars off: instruments record as before, no slot is claimed and no span is marked. Default: on.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The tail sampler's `decision_wait`, from the first span of a trace to its decision. Default: 30 s, as the
    /// collector's `tail_sampling` processor has it. An exemplar whose span is not exported within it is dropped.
    #[must_use]
    pub fn with_decision_wait(mut self, wait: Duration) -> Self {
        self.decision_wait = wait;
        self
    }

    /// The longest time from the start of a trace to the end of its last span in this process, a request timeout as a
    /// rule. Default: 20 s. A span must be acknowledged within `decision_wait` − this − 1 s after it ended.
    #[must_use]
    pub fn with_max_trace_duration(mut self, duration: Duration) -> Self {
        self.max_trace_duration = duration;
        self
    }

    /// How often each bucket may pick an exemplar where only `/metrics` is served. Default: 5 s. With a metric exporter
    /// each export opens the next window.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many time series may have slots, over all instruments. Default: 2,000, the SDK's own limit for one
    /// instrument. A series takes 8 bytes per bucket, about 90 more per bucket once it has shown exemplars on
    /// `/metrics`, and its attributes; series beyond it record without exemplars.
    #[must_use]
    pub fn with_max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// How many exemplars may wait for the export of their span, and as many again for the next metric export.
    /// Default: 4,096, a window in which 270 series fill all 15 buckets.
    #[must_use]
    pub fn with_max_waiting(mut self, exemplars: usize) -> Self {
        self.max_waiting = exemplars;
        self
    }

    /// What to do in traces that began in another process. Default: [`RemoteParents::Skip`].
    #[must_use]
    pub fn with_remote_parents(mut self, remote_parents: RemoteParents) -> Self {
        self.remote_parents = remote_parents;
        self
    }

    /// Calls `listener` with each exemplar as it is picked: its span is marked by then and mostly still open. For a store
    /// inside the process, which is to acknowledge by itself: it sees the span end, with its mark. Default: none.
    ///
    /// It is called on the thread that records, about once per bucket and window: it must not block, record or panic.
    #[must_use]
    pub fn with_listener(mut self, listener: impl Fn(&PickedExemplar<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Listener(Arc::new(listener)));
        self
    }

    /// How long after its end a span may be acknowledged, so that the tail sampler is sure to see its mark.
    pub(crate) fn ack_limit(&self) -> Duration {
        self.decision_wait.saturating_sub(self.max_trace_duration).saturating_sub(MARGIN)
    }

    /// Makes the handle.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names every setting that breaks a rule.
    pub fn build(self) -> Result<Exemplars, SettingsError> {
        let mut faults = Vec::new();
        if self.ack_limit().is_zero() {
            faults.push(format!(
                "decision_wait is {:?}: it must be longer than max_trace_duration ({:?}) + {MARGIN:?}, or a mark may come \
                 after the decision; raise it here and in the tail sampler, or shorten the longest trace",
                self.decision_wait, self.max_trace_duration
            ));
        }
        if self.window.is_zero() {
            faults.push("window is 0: it must be positive, since each window marks a trace per bucket".to_owned());
        }
        for (name, value) in [("max_series", self.max_series), ("max_waiting", self.max_waiting)] {
            if value == 0 {
                faults.push(format!(
                    "{name} is 0: it must be at least 1; use with_enabled(false) to go without exemplars"
                ));
            }
        }
        if faults.is_empty() { Ok(Exemplars::new(self)) } else { Err(SettingsError { faults }) }
    }
}

/// Settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", faults.join("; "))]
pub struct SettingsError {
    /// One sentence per fault: the value, the rule and the fix.
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_reported_at_once() {
        let error = Exemplars::builder()
            .with_decision_wait(Duration::from_secs(21))
            .with_window(Duration::ZERO)
            .with_max_series(0)
            .with_max_waiting(0)
            .build()
            .unwrap_err();
        assert_eq!(error.faults.len(), 4, "{error}");
        assert!(error.to_string().contains("decision_wait is 21s"), "{error}");
    }

    #[test]
    fn a_span_may_be_acknowledged_nine_seconds_after_its_end_by_default() {
        assert_eq!(ExemplarsBuilder::default().ack_limit(), Duration::from_secs(9));
    }
}
