//! The bound instruments that recording with attributes looks up.

use std::sync::RwLock;

use opentelemetry::KeyValue;

use crate::attributes::{AttributeMap, normalize};

/// Bound instruments by attribute set, at most `capacity` of them, which is the bound on series with slots: beyond it
/// recording goes to the SDK directly and offers no exemplar.
#[derive(Debug)]
pub(crate) struct BoundCache<T> {
    capacity: usize,
    bound: RwLock<AttributeMap<T>>,
}

impl<T> BoundCache<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, bound: RwLock::default() }
    }

    /// Runs `with` on the instrument bound to these attributes, or says that there is none and no room for one.
    pub(crate) fn with<R>(
        &self,
        attributes: &[KeyValue],
        bind: impl FnOnce() -> T,
        with: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        {
            let known = self.bound.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(bound) = known.get(attributes.iter()) {
                return Some(with(bound));
            }
            if known.len() >= self.capacity {
                return None;
            }
        }
        let mut known = self.bound.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sorted = normalize(attributes);
        if known.get(sorted.iter()).is_none() {
            if known.len() >= self.capacity {
                return None;
            }
            known.insert(sorted.clone(), bind());
        }
        known.get(sorted.iter()).map(with)
    }
}
