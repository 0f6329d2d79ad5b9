//! The model that every kind of profile shares: weighted stacks with labels.

mod difference;
mod filter;
#[cfg(feature = "flamegraph")]
mod flamegraph;
mod folded;
mod pprof;
mod stacks;
mod symbolized;
#[cfg(test)]
mod tests;
mod text;
mod top;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use filter::Filter;
pub use symbolized::Symbolized;
pub use top::Function;

/// What one number of a sample counts, in pprof's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// For example `cpu` or `inuse_space`.
    pub kind: &'static str,
    /// For example `nanoseconds`, `bytes` or `count`.
    pub unit: &'static str,
}

/// Labels of a sample: keys are unique within one sample, in ascending order.
pub type Labels = Vec<(&'static str, Arc<str>)>;

/// Values of all executions that were seen in one place under the same labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Addresses of instructions, the leaf first. A return address was already moved into its call; an address below
    /// [`Profile::FIRST_ADDRESS`] stands for a frame without code, such as [`Profile::TRUNCATED`].
    pub stack: Arc<[u64]>,
    /// One number for each of the profile's value types.
    pub values: Box<[i64]>,
    /// The span, and what else is known.
    pub labels: Labels,
}

/// A profile before its addresses are turned into names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the numbers of each sample count.
    pub value_types: Vec<ValueType>,
    /// The index of the value type that is shown unless another one is asked for.
    pub default_value: usize,
    /// What is counted between two samples, and how much of it.
    pub period: Option<(ValueType, i64)>,
    /// When the first sample could be taken.
    pub start: SystemTime,
    /// From then on.
    pub duration: Duration,
    /// The samples, in no order.
    pub samples: Vec<Sample>,
    /// What the reader ought to know, such as losses.
    pub comments: Vec<String>,
    /// A regular expression of the functions above which frames belong to the measuring itself.
    pub drop_frames: Option<&'static str>,
}

impl Profile {
    /// Addresses below this one stand for frames without code: no system maps its first page.
    pub const FIRST_ADDRESS: u64 = 4096;
    /// The frame in place of callers beyond the deepest stack that is recorded.
    pub const TRUNCATED: u64 = 1;
    /// The frame of everything that found no room of its own: `[other]`.
    pub const OTHER: u64 = 2;
    /// In place of the stack of a task that was running, and so could not tell where it waits.
    pub const TASK_RUNNING: u64 = 3;
    /// In place of the stack of a task that was woken or new and did not come to run.
    pub const TASK_SCHEDULED: u64 = 4;
    /// In place of the stack of a task that was idle and did not answer, or whose stack found no room.
    pub const TASK_SILENT: u64 = 5;

    /// How one of these frames is called.
    pub(crate) fn frame_without_code(address: u64) -> Option<&'static str> {
        match address {
            Self::TRUNCATED => Some("[truncated]"),
            Self::OTHER => Some("[other]"),
            Self::TASK_RUNNING => Some("[running]"),
            Self::TASK_SCHEDULED => Some("[scheduled]"),
            Self::TASK_SILENT => Some("[did not answer]"),
            _ => None,
        }
    }
}
