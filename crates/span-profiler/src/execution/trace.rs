//! A finished recording.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::session::{CAPACITY, Event, Kind, Recorded};
use crate::names::NameId;
use crate::sys::{boottime_ns, monotonic_ns};
use crate::threads::Thread;

/// Events of all threads over some time.
#[derive(Debug)]
pub struct ExecutionTrace {
    pub(super) recorded: Recorded,
    /// Polls that ran at the end, of which some began before the start.
    pub(super) open: Vec<OpenPoll>,
    /// To be added to the monotonic clock for the boot time clock, and for nanoseconds since 1970.
    pub(super) boot_offset: i128,
    pub(super) unix_offset: i128,
    /// Wakes that have both ends in the trace.
    pub(super) flows: HashSet<u64>,
}

/// A poll that ran at the end of the recording.
#[derive(Debug, Clone)]
pub(crate) struct OpenPoll {
    pub(crate) task: u64,
    pub(crate) name: NameId,
    /// In nanoseconds of the monotonic clock.
    pub(crate) began: u64,
    pub(crate) thread: Arc<Thread>,
}

impl Default for ExecutionTrace {
    fn default() -> Self {
        Self::new(Recorded::default(), Vec::new())
    }
}

impl ExecutionTrace {
    pub(super) fn new(recorded: Recorded, open: Vec<OpenPoll>) -> Self {
        let (monotonic, boot) = (monotonic_ns(), boottime_ns());
        // A system clock before 1970 only makes the time of day wrong.
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let events = || recorded.threads.iter().flat_map(|thread| &thread.events);
        let of = |kinds: &'static [Kind]| {
            events().filter(move |event| event.other != 0 && kinds.contains(&event.kind)).map(|event| event.other)
        };
        let causes: HashSet<u64> = of(&[Kind::Wake, Kind::Spawn]).collect();
        let flows = of(&[Kind::PollBegin]).filter(|flow| causes.contains(flow)).collect();
        let open = open.into_iter().filter(|poll| poll.began < recorded.began).collect();
        Self {
            open,
            boot_offset: i128::from(boot) - i128::from(monotonic),
            unix_offset: i128::try_from(unix).unwrap_or_default() - i128::from(monotonic),
            flows,
            recorded,
        }
    }

    /// How long it was recorded.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.recorded.ended.saturating_sub(self.recorded.began))
    }

    /// How many events it has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.recorded.threads.iter().map(|thread| thread.events.len()).sum()
    }

    /// How many events found no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.recorded.lost
    }

    /// What the trace does not have, a sentence each. They are in the trace, too.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if cfg!(feature = "tasks") {
            let tasks = "only tasks that were spawned by span_profiler::tasks::spawn_named or wrapped in Tracked are here; \
                         other tasks, such as those of the HTTP server's connections, show neither polls nor wakes";
            notes.push(tasks.to_owned());
        } else {
            notes.push("no polls and no wakes: span-profiler was built without its feature `tasks`".to_owned());
        }
        if !self.any(|event| matches!(event.kind, Kind::Enter | Kind::Exit)) {
            notes.push("no spans: none was entered or left, or the subscriber has no layer SpanLabels".to_owned());
        }
        if self.recorded.lost > 0 {
            let lost = self.recorded.lost;
            notes.push(format!(
                "{lost} events are lost: a trace keeps {CAPACITY}; threads end where it says so; record for a shorter time"
            ));
        }
        notes
    }

    pub(super) fn any(&self, condition: impl Fn(&Event) -> bool) -> bool {
        self.recorded.threads.iter().flat_map(|thread| &thread.events).any(condition)
    }
}
