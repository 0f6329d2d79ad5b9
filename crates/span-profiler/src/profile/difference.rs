//! What happened between two profiles that only ever grow, such as those of a heap.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Labels, Profile, Sample};

/// The values of each stack under its labels.
type Sums = HashMap<(Arc<[u64]>, Labels), Box<[i64]>>;

impl Profile {
    /// What this profile has more, or less, than an earlier one of the same kind: per stack and labels, without what
    /// is equal. Values of a type that the other one does not have stay as they are. The result covers the time from
    /// the end of the earlier profile to the end of this one, and carries the comments of both.
    #[must_use]
    pub fn minus(mut self, base: &Self) -> Self {
        let ours_of: Vec<Option<usize>> =
            base.value_types.iter().map(|kind| self.value_types.iter().position(|ours| ours == kind)).collect();
        let width = self.value_types.len();
        let mut sums = Sums::with_capacity(self.samples.len());
        for sample in self.samples.drain(..) {
            let sum = sums.entry((sample.stack, sample.labels)).or_insert_with(|| vec![0; width].into_boxed_slice());
            for (sum, value) in sum.iter_mut().zip(&sample.values) {
                *sum = sum.saturating_add(*value);
            }
        }
        for sample in &base.samples {
            let key = (sample.stack.clone(), sample.labels.clone());
            let sum = sums.entry(key).or_insert_with(|| vec![0; width].into_boxed_slice());
            for (ours, value) in ours_of.iter().zip(&sample.values) {
                if let Some(sum) = ours.and_then(|index| sum.get_mut(index)) {
                    *sum = sum.saturating_sub(*value);
                }
            }
        }
        let changed = sums.into_iter().filter(|(_, values)| values.iter().any(|value| *value != 0));
        self.samples = changed.map(|((stack, labels), values)| Sample { stack, values, labels }).collect();

        let end = self.start + self.duration;
        self.start = base.start + base.duration;
        self.duration = end.duration_since(self.start).unwrap_or_default();
        for comment in &base.comments {
            if !self.comments.contains(comment) {
                self.comments.push(comment.clone());
            }
        }
        self
    }
}
