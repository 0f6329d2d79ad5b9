//! What profiles are made from: the crate, with its errors turned into refusals.

use std::sync::Arc;

use axum::Router;
use span_profiler::execution::Recording;
use span_profiler::heap::{self, Heap};
use span_profiler::tasks::{self, TaskDump};
pub(super) use span_profiler::{Capture, Filter, Profile, RecorderState, Sample, SpanShare, Symbolized, TraceSpan};
use span_profiler::{CaptureError, Profiler};

use crate::error::chain;
use crate::http::problem::{Kind, Problem};
use crate::telemetry::profiler::Reading;
use crate::workload::scenarios::Scenarios;

/// CPU samples per second where the client does not say: odd, so that it does not march with timers of the program.
pub(super) const DEFAULT_HZ: u32 = 99;

/// What this process can be asked for; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Or why there are no CPU profiles.
    profiler: Result<Profiler, Arc<str>>,
    /// Or why there are no heap profiles.
    heap: Result<Heap, Arc<str>>,
    /// None where this process has none.
    scenarios: Option<Scenarios>,
    /// What the console serves; none where it is off.
    console: Option<Router>,
}

impl Sources {
    /// A profiler that has been started, or why it could not be; heap sampling starts here, where the allocator can.
    #[must_use]
    pub fn new(profiler: Result<Profiler, Arc<str>>) -> Self {
        let heap = heap::start().map_err(|error| Arc::from(chain(&error)));
        Self { profiler, heap, scenarios: None, console: None }
    }

    /// Lets clients start and stop scenarios.
    #[must_use]
    pub fn with_scenarios(self, scenarios: Scenarios) -> Self {
        Self { scenarios: Some(scenarios), ..self }
    }

    /// Serves the console's pages too, under the same rules.
    #[must_use]
    pub fn with_console(self, console: Router) -> Self {
        Self { console: Some(console), ..self }
    }

    /// What the console serves.
    pub(crate) fn console(&self) -> Option<&Router> {
        self.console.as_ref()
    }

    /// The scenarios of this process.
    pub(crate) fn scenarios(&self) -> Option<&Scenarios> {
        self.scenarios.as_ref()
    }

    fn profiler(&self) -> Result<&Profiler, Problem> {
        self.profiler.as_ref().map_err(|reason| Problem::new(Kind::NotSupported, format!("no CPU profiles: {reason}")))
    }

    /// Starts a CPU profile.
    pub(super) fn capture(&self, hz: u32) -> Result<Capture, Problem> {
        self.profiler()?.capture(hz).map_err(|error| match error {
            // Somebody inside the process: clients are kept apart before.
            CaptureError::Busy => Problem::new(Kind::ProfileRunning, chain(&error)).retry_after(1),
            error => failed(&error),
        })
    }

    /// What the recorder has of the past; takes milliseconds.
    pub(super) fn recorded(&self, filter: &Filter) -> Result<Profile, Problem> {
        Ok(self.profiler()?.recorded(filter))
    }

    /// The recorder's state.
    pub(super) fn recorder(&self) -> Result<RecorderState, Problem> {
        self.profiler()?.recorder().ok_or_else(|| {
            let detail = "the recorder is off, so nothing of the past is known: set PHASELAB_PROFILER_HZ, for example \
                          to 99; or profile now, without since, trace_id and span_id, or with seconds";
            Problem::new(Kind::NotSupported, detail)
        })
    }

    /// CPU time by span name, most first.
    pub(super) fn spans(&self) -> Vec<SpanShare> {
        self.profiler.as_ref().map(|profiler| profiler.spans(None)).unwrap_or_default()
    }

    /// CPU time of one trace by span, most first.
    pub(crate) fn spans_of(&self, trace_id: u128) -> Vec<TraceSpan> {
        self.profiler.as_ref().map(|profiler| profiler.spans_of(trace_id)).unwrap_or_default()
    }

    /// What the profiler has counted.
    pub(super) fn reading(&self) -> Reading {
        let Ok(profiler) = &self.profiler else { return Reading::default() };
        let stats = profiler.stats();
        let recorder_bytes = profiler.recorder().map(|recorder| recorder.bytes);
        Reading { samples: stats.samples, lost: stats.lost, recorder_bytes }
    }

    /// The heap as it is; takes milliseconds.
    pub(super) fn heap(&self) -> Result<Profile, Problem> {
        let heap = self.heap.as_ref();
        heap.map(Heap::profile)
            .map_err(|reason| Problem::new(Kind::NotSupported, format!("no heap profiles: {reason}")))
    }

    /// Every task that was spawned by name.
    pub(super) async fn tasks(&self) -> TaskDump {
        tasks::dump(tasks::DUMP_LIMIT).await
    }

    /// Starts an execution trace.
    pub(super) fn execution(&self) -> Result<Recording, Problem> {
        // Somebody inside the process: clients are kept apart before.
        Recording::start().map_err(|busy| Problem::new(Kind::ProfileRunning, chain(&busy)).retry_after(1))
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(Kind::ProfilerFailed, chain(error))
}

/// Every task by itself, or grouped by place, with names of functions; slow.
pub(super) fn tasks_text(mut dump: TaskDump, span: Option<&str>, one_by_one: bool) -> String {
    if let Some(name) = span {
        dump.tasks.retain(|task| task.span.as_ref().is_some_and(|span| &*span.name == name));
    }
    let symbolized = dump.profile().symbolize();
    let names = |address| symbolized.names_at(address);
    if one_by_one { dump.text(&names) } else { dump.summary(&names) }
}

/// The label that holds the innermost span's name.
pub(super) const SPAN_NAME: &str = "span_name";

/// The value of a label.
pub(super) fn label<'a>(sample: &'a Sample, key: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(name, _)| *name == key).map(|(_, value)| &**value)
}
