//! Texts that come again and again, as numbers: most of a span's bytes are names and keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Names of spans and keys of attributes: the code of a program has some hundred of them.
const MAX_NAMES: usize = 2_048;

/// Values. The first ones, because they come again: methods, routes, sections. What is different each time fills this
/// once, and then stands in its span.
const MAX_VALUES: usize = 1_024;

/// Longer texts stand in their span. Together with the limits above this bounds the table to less than half a MiB.
const MAX_BYTES: usize = 64;

/// What a text costs here besides its bytes: two pointers to it, its number and its counts.
const OVERHEAD: usize = 72;

/// The table; it only grows, and each text keeps its number.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Table>);

#[derive(Debug, Default)]
pub(super) struct Table {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    values: usize,
    bytes: usize,
}

/// What a text is to its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Value,
}

impl Names {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a number to texts that had none, for the next time.
    pub(super) fn learn(&self, texts: &[(String, Role)]) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (text, role) in texts {
            if table.takes(text, *role) && !table.numbers.contains_key(text.as_str()) {
                table.insert(text, *role);
            }
        }
    }
}

impl Table {
    pub(super) fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(super) fn text(&self, number: u64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(|text| &**text)
    }

    /// Whether a text that is not there would be taken.
    pub(super) fn takes(&self, text: &str, role: Role) -> bool {
        let room = match role {
            Role::Name => self.texts.len() - self.values < MAX_NAMES,
            Role::Value => self.values < MAX_VALUES,
        };
        room && text.len() <= MAX_BYTES
    }

    /// Memory of the table.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert(&mut self, text: &str, role: Role) {
        let Ok(number) = u32::try_from(self.texts.len()) else { return };
        let shared: Arc<str> = text.into();
        self.texts.push(Arc::clone(&shared));
        self.numbers.insert(shared, number);
        self.values += usize::from(role == Role::Value);
        self.bytes += text.len() + OVERHEAD;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_take_the_room_of_names() {
        let names = Names::default();
        let values: Vec<_> = (0..2 * MAX_VALUES).map(|one| (format!("value {one}"), Role::Value)).collect();
        names.learn(&values);
        names.learn(&[("name".to_owned(), Role::Name), ("x".repeat(MAX_BYTES + 1), Role::Name)]);
        let table = names.read();
        assert_eq!(table.texts.len(), MAX_VALUES + 1);
        assert_eq!(table.number("name").and_then(|number| table.text(number.into())), Some("name"));
        assert!(!table.takes("another", Role::Value) && table.takes("another", Role::Name));
    }
}
