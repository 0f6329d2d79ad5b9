//! What a dump found.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::labels::Label;
use crate::names;
use crate::profile::{Labels, Profile, Sample, ValueType};

/// What every tracked task was doing.
#[derive(Debug, Clone)]
pub struct TaskDump {
    /// In the order in which they were made.
    pub tasks: Vec<Task>,
    /// When the dump was asked for.
    pub taken: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// How long it was allowed to wait for answers.
    pub limit: Duration,
    /// Tasks that found no room in the registry since the process began, and are not listed.
    pub untracked: u64,
    /// Stacks that found no room in this dump.
    pub stacks_left_out: u64,
}

/// A task that had not ended.
#[derive(Debug, Clone)]
pub struct Task {
    /// Counted from one, in the order in which tasks were made.
    pub id: u64,
    /// As it was spawned.
    pub name: Arc<str>,
    /// What it was doing.
    pub state: State,
    /// Since it was made.
    pub age: Duration,
    /// How often it was polled, without the polls that only a dump wanted.
    pub polls: u64,
    /// How often it was woken, not by dumps.
    pub wakes: u64,
    /// How long the latest finished poll took; `None` before the first.
    pub last_poll: Option<Duration>,
    /// How long all finished polls took.
    pub busy: Duration,
    /// The span it waits in; of a running task, the span it is in. For a task that neither answers nor runs, the span
    /// that it entered last.
    pub span: Option<Span>,
    /// The thread that polls it: name and the system's number. `None` unless it is running.
    pub thread: Option<String>,
    /// Whether it told where it waits.
    pub answered: bool,
    /// Where it waits; several in a `join` or `select`.
    pub stacks: Vec<Stack>,
    /// Await points beyond those.
    pub more_stacks: u64,
}

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits, since its latest poll ended so long ago.
    Idle(Duration),
    /// It is being polled, for so long.
    Running(Duration),
    /// It was woken, or is new, and was not polled yet.
    Scheduled,
}

impl State {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle(_) => "idle",
            Self::Running(_) => "running",
            Self::Scheduled => "scheduled",
        }
    }
}

/// Where a task waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// As in [`Sample::stack`]; shared by all tasks that wait there.
    pub addresses: Arc<[u64]>,
    /// Await points of the task with this same stack.
    pub times: u64,
}

/// The span that a task is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: Arc<str>,
    /// Zero without OpenTelemetry.
    pub span_id: u64,
    /// Zero without OpenTelemetry.
    pub trace_id: u128,
}

impl Span {
    pub(super) fn new(label: &Label) -> Self {
        Self { name: names::text(label.name), span_id: label.span_id, trace_id: label.trace_id }
    }
}

impl TaskDump {
    /// The tasks that kept their thread for longer than the limit without yielding, the longest first. Whatever waits on such a
    /// thread, such as the other tasks of a runtime of one thread, cannot go on.
    #[must_use]
    pub fn blockers(&self) -> Vec<&Task> {
        let running = |task: &Task| match task.state {
            State::Running(time) => time,
            State::Idle(_) | State::Scheduled => Duration::ZERO,
        };
        let mut blockers: Vec<_> =
            self.tasks.iter().filter(|task| !task.answered && running(task) > self.limit).collect();
        blockers.sort_by_key(|task| std::cmp::Reverse(running(task)));
        blockers
    }

    /// How many tasks did not tell where they wait.
    #[must_use]
    pub fn silent(&self) -> usize {
        self.tasks.iter().filter(|task| !task.answered).count()
    }

    /// As a profile. Its values: `goroutine` counts tasks, so a task that waits at several places counts at one of them, and
    /// `await` counts places.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let mut samples: HashMap<(Arc<[u64]>, Labels), [i64; 2]> = HashMap::new();
        for task in &self.tasks {
            let labels = task.labels();
            for (first, addresses, times) in task.places() {
                let values = samples.entry((addresses, labels.clone())).or_default();
                values[0] += i64::from(first);
                values[1] += times;
            }
        }
        let sample = |((stack, labels), values): ((Arc<[u64]>, Labels), [i64; 2])| Sample {
            stack: Arc::from(&*stack),
            values: Box::new(values),
            labels,
        };
        Profile {
            value_types: ["goroutine", "await"].map(|kind| ValueType { kind, unit: "count" }).to_vec(),
            default_value: 0,
            period: Some((ValueType { kind: "goroutine", unit: "count" }, 1)),
            start: self.taken,
            duration: self.duration,
            samples: samples.into_iter().map(sample).collect(),
            comments: self.remarks(),
            drop_frames: Some(super::text::DROP_FRAMES),
        }
    }

    /// What a reader ought to know.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks =
            vec!["only tasks that were spawned by spawn_named or wrapped in Tracked are known".to_owned()];
        let silent = self.silent();
        if silent > 0 {
            remarks.push(format!("{silent} tasks did not answer within {:?} and have no stack", self.limit));
        }
        if self.untracked > 0 {
            let (untracked, capacity) = (self.untracked, super::registry::CAPACITY);
            remarks.push(format!("{untracked} tasks found no room among {capacity} and are not listed"));
        }
        if self.stacks_left_out > 0 {
            remarks.push(format!("{} stacks found no room in this dump", self.stacks_left_out));
        }
        remarks
    }
}

impl Task {
    /// Each stack, whether the task counts there, and how often it waits there. Without a stack, a frame that tells why.
    pub(super) fn places(&self) -> Vec<(bool, Arc<[u64]>, i64)> {
        if self.stacks.is_empty() {
            let frame = match self.state {
                State::Running(_) => Profile::TASK_RUNNING,
                State::Scheduled => Profile::TASK_SCHEDULED,
                State::Idle(_) => Profile::TASK_SILENT,
            };
            return vec![(true, Arc::from([frame]), 0)];
        }
        let mut stacks: Vec<&Stack> = self.stacks.iter().collect();
        // Not in the order of the poll: `select!` polls in a random one, and equal tasks ought to count at the same place.
        stacks.sort_unstable_by(|one, other| one.addresses.cmp(&other.addresses));
        let place = |(index, stack): (usize, &Stack)| {
            (index == 0, Arc::clone(&stack.addresses), i64::try_from(stack.times).unwrap_or(i64::MAX))
        };
        stacks.into_iter().enumerate().map(place).collect()
    }

    fn labels(&self) -> Labels {
        let mut labels: Labels = Vec::with_capacity(5);
        if let Some(span) = &self.span {
            if span.span_id != 0 {
                labels.push(("span_id", format!("{:016x}", span.span_id).into()));
            }
            labels.push(("span_name", Arc::clone(&span.name)));
        }
        labels.push(("state", self.state.name().into()));
        labels.push(("task", Arc::clone(&self.name)));
        if let Some(span) = self.span.as_ref().filter(|span| span.trace_id != 0) {
            labels.push(("trace_id", format!("{:032x}", span.trace_id).into()));
        }
        labels
    }
}
