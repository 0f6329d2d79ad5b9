//! Dumps as pages to read, in the manner of Go's `goroutine` pages.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::report::{State, Task, TaskDump};
use crate::profile::Profile;

/// Frames between an await point and the probe: the waker's own, which only builds without optimisation show.
pub(super) const DROP_FRAMES: &str = r"(<core::task::wake::Waker as core::clone::Clone>::clone|core::task::wake::Waker::(clone|wake_by_ref))(::h[0-9a-f]{16})?";

/// The same frames, for text.
const DROPPED: [&str; 3] = [
    "<core::task::wake::Waker as core::clone::Clone>::clone",
    "core::task::wake::Waker::clone",
    "core::task::wake::Waker::wake_by_ref",
];

/// Tasks of one place, by name.
type Place<'a> = (u64, BTreeMap<&'a str, u64>);

impl TaskDump {
    /// Who blocks, then the tasks by the place where they wait, the largest group first, as Go's page with `?debug=1`.
    ///
    /// `frames` names what is at an address, the innermost inlined function first.
    #[must_use]
    pub fn summary(&self, frames: &dyn Fn(u64) -> Vec<String>) -> String {
        let mut text = self.head();
        let mut places: HashMap<Arc<[u64]>, Place<'_>> = HashMap::new();
        for task in &self.tasks {
            for (_, stack, _) in task.places() {
                let place = places.entry(stack).or_default();
                place.0 += 1;
                *place.1.entry(&task.name).or_default() += 1;
            }
        }
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by(|one, other| other.1.0.cmp(&one.1.0).then_with(|| one.0.cmp(&other.0)));
        for (stack, (count, names)) in places {
            // Writing to a String cannot fail, here and below.
            let _ = write!(text, "{count} @");
            for address in &*stack {
                let _ = write!(text, " {address:#x}");
            }
            let names: Vec<_> = names.iter().map(|(name, count)| format!("{name:?}: {count}")).collect();
            let _ = writeln!(text, "\n# tasks: {}", names.join(", "));
            for (address, name) in named(&stack, frames) {
                let _ = writeln!(text, "#\t{address:#x}\t{name}");
            }
            text.push('\n');
        }
        text
    }

    /// Who blocks, then every task by itself, as Go's page with `?debug=2`.
    ///
    /// `frames` as in [`summary`](Self::summary).
    #[must_use]
    pub fn text(&self, frames: &dyn Fn(u64) -> Vec<String>) -> String {
        let mut text = self.head();
        for task in &self.tasks {
            push_task(&mut text, task, frames);
        }
        text
    }

    fn head(&self) -> String {
        let count = |name: &str| self.tasks.iter().filter(|task| task.state.name() == name).count();
        let mut text = format!(
            "task profile: total {} ({} idle, {} running, {} scheduled), taken in {:.1?}\n",
            self.tasks.len(),
            count("idle"),
            count("running"),
            count("scheduled"),
            self.duration
        );
        for remark in self.remarks() {
            let _ = writeln!(text, "# {remark}");
        }
        for task in self.blockers() {
            let (State::Running(time), thread) = (task.state, task.thread.as_deref().unwrap_or("an unknown thread"))
            else {
                continue;
            };
            let _ = write!(text, "# BLOCKED: task {} {:?} keeps {thread} since {}", task.id, task.name, short(time));
            match span(task) {
                Some(span) => drop(writeln!(text, " in {span}")),
                None => text.push('\n'),
            }
        }
        text.push('\n');
        text
    }
}

fn push_task(text: &mut String, task: &Task, frames: &dyn Fn(u64) -> Vec<String>) {
    let state = match task.state {
        State::Idle(time) | State::Running(time) => format!("{}, {}", task.state.name(), short(time)),
        State::Scheduled => task.state.name().to_owned(),
    };
    let _ = writeln!(text, "task {} {:?} [{state}]:", task.id, task.name);
    if let Some(span) = span(task) {
        let _ = writeln!(text, "  {span}");
    }
    let _ = write!(
        text,
        "  age {}, polls {}, wakes {}, busy {}",
        short(task.age),
        task.polls,
        task.wakes,
        short(task.busy)
    );
    if let Some(time) = task.last_poll {
        let _ = write!(text, ", last poll {}", short(time));
    }
    if let Some(thread) = &task.thread {
        let _ = write!(text, ", on {thread}");
    }
    text.push('\n');
    if !task.answered {
        text.push_str("  did not tell where it waits\n");
    }
    for (index, stack) in task.stacks.iter().enumerate() {
        if index > 0 {
            text.push_str("  and at\n");
        }
        if stack.times > 1 {
            let _ = writeln!(text, "  {} times at", stack.times);
        }
        for (address, name) in named(&stack.addresses, frames) {
            let _ = writeln!(text, "{name}\n\t{address:#x}");
        }
    }
    if task.more_stacks > 0 {
        let _ = writeln!(text, "  and at {} further places", task.more_stacks);
    }
    text.push('\n');
}

fn span(task: &Task) -> Option<String> {
    let span = task.span.as_ref()?;
    let mut text = format!("span {:?}", span.name);
    if span.span_id != 0 {
        let _ = write!(text, " span_id={:016x}", span.span_id);
    }
    if span.trace_id != 0 {
        let _ = write!(text, " trace_id={:032x}", span.trace_id);
    }
    Some(text)
}

/// The functions of a stack, without those of the probe.
fn named(stack: &[u64], frames: &dyn Fn(u64) -> Vec<String>) -> Vec<(u64, String)> {
    let names = stack.iter().flat_map(|address| {
        let names = Profile::frame_without_code(*address);
        let names = names.map_or_else(|| frames(*address), |name| vec![name.to_owned()]);
        names.into_iter().map(|name| (*address, name))
    });
    let names: Vec<_> = names.collect();
    let is_probe = |(_, name): &(u64, String)| DROPPED.iter().any(|dropped| name.starts_with(dropped));
    let first = names.iter().take(4).rposition(is_probe).map_or(0, |at| at + 1);
    names[first..].to_vec()
}

/// With three digits, as people say it.
fn short(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{time:.1?}"),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{}m", seconds / 3_600, seconds / 60 % 60),
    }
}
