//! Attribute sets as keys: the SDK exports a series' attributes in any order, and looking one up must not allocate.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use opentelemetry::KeyValue;

/// Sorts by key; of a key that was given twice the last value counts, as in the SDK.
pub(crate) fn normalize(attributes: &[KeyValue]) -> Vec<KeyValue> {
    let mut sorted: Vec<KeyValue> = Vec::with_capacity(attributes.len());
    for attribute in attributes {
        match sorted.binary_search_by(|have| have.key.cmp(&attribute.key)) {
            Ok(at) => sorted[at] = attribute.clone(),
            Err(at) => sorted.insert(at, attribute.clone()),
        }
    }
    sorted
}

/// True when each of `attributes` stands in `sorted`.
pub(crate) fn contains_all<'a>(sorted: &[KeyValue], mut attributes: impl Iterator<Item = &'a KeyValue>) -> bool {
    attributes.all(|attribute| {
        sorted.binary_search_by(|have| have.key.cmp(&attribute.key)).is_ok_and(|at| sorted[at].value == attribute.value)
    })
}

/// A map from attribute sets, found by a hash that does not depend on their order.
#[derive(Debug)]
pub(crate) struct AttributeMap<T> {
    entries: HashMap<u64, Vec<(Vec<KeyValue>, T)>>,
    len: usize,
}

impl<T> Default for AttributeMap<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), len: 0 }
    }
}

impl<T> AttributeMap<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Finds a set whose keys are unique, in any order.
    pub(crate) fn get<'a>(&self, attributes: impl Iterator<Item = &'a KeyValue> + Clone) -> Option<&T> {
        let (hash, count) = order_free_hash(attributes.clone());
        let candidates = self.entries.get(&hash)?;
        candidates
            .iter()
            .find(|(sorted, _)| sorted.len() == count && contains_all(sorted, attributes.clone()))
            .map(|(_, value)| value)
    }

    /// Adds a set that [`normalize`] made and that is not in the map.
    pub(crate) fn insert(&mut self, sorted: Vec<KeyValue>, value: T) {
        let (hash, _) = order_free_hash(sorted.iter());
        self.entries.entry(hash).or_default().push((sorted, value));
        self.len += 1;
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values().flatten().map(|(_, value)| value)
    }
}

fn order_free_hash<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> (u64, usize) {
    attributes.fold((0, 0), |(sum, count), attribute| {
        let mut hasher = DefaultHasher::new();
        attribute.hash(&mut hasher);
        (hasher.finish().wrapping_add(sum), count + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_found_in_any_order_and_only_whole() {
        let mut map = AttributeMap::default();
        let set = [KeyValue::new("route", "/a"), KeyValue::new("status", 200)];
        map.insert(normalize(&set), 1);
        assert_eq!(map.get(set.iter().rev()), Some(&1));
        assert_eq!(map.get(set[..1].iter()), None);
        assert_eq!(map.get([KeyValue::new("route", "/a"), KeyValue::new("status", "200")].iter()), None);
        assert_eq!((map.len(), map.values().count()), (1, 1));
    }

    #[test]
    fn the_last_value_of_a_repeated_key_counts() {
        let sorted = normalize(&[KeyValue::new("b", 1), KeyValue::new("a", 1), KeyValue::new("b", 2)]);
        assert_eq!(sorted, [KeyValue::new("a", 1), KeyValue::new("b", 2)]);
    }
}
