//! Which label sets a family has already.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// The label sets of one family, end to end in one string.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    places: HashMap<u64, (usize, usize)>,
    texts: String,
    last: usize,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.texts.clear();
    }

    pub(super) fn insert(&mut self, labels: &str) -> bool {
        let hash = self.hasher.hash_one(labels);
        self.last = self.texts.len();
        let place = (self.last, self.last + labels.len());
        // Two sets with one hash are told apart by their text; then the later one is not remembered.
        if let Some(&(start, end)) = self.places.get(&hash) {
            if &self.texts[start..end] == labels {
                return false;
            }
        } else {
            self.places.insert(hash, place);
        }
        self.texts.push_str(labels);
        true
    }

    /// The labels that were inserted last.
    pub(super) fn last(&self) -> &str {
        &self.texts[self.last..]
    }
}
