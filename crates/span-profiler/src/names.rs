//! Names of spans and tasks, each kept once, so that a sample carries a number instead of a text.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// Names that are kept; further ones share [`NameId::OTHER`], because a process never forgets one. A program has some
/// hundred spans in its source.
pub(crate) const CAPACITY: usize = 4_096;

/// Of these, names made at run time may take so many: clients who choose them must not take the room of the others.
const MADE: usize = CAPACITY / 2;

/// The longest name made at run time, in bytes; what is longer is cut.
const MAX_BYTES: usize = 200;

/// Entries of each thread's cache of static names: a power of two, above the number of spans that one thread makes.
const CACHE: usize = 64;

/// A name that was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(pub(crate) u32);

impl NameId {
    /// The empty name: outside of any span.
    pub(crate) const NONE: Self = Self(0);
    /// Stands for every name beyond [`CAPACITY`].
    pub(crate) const OTHER: Self = Self(1);
}

struct Names {
    ids: HashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
    /// How many of them were made at run time.
    made: usize,
}

impl Default for Names {
    fn default() -> Self {
        let texts: Vec<Arc<str>> = vec![Arc::from(""), Arc::from("[other]")];
        let ids = texts.iter().cloned().zip([NameId::NONE, NameId::OTHER]).collect();
        Self { ids, texts, made: 0 }
    }
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

/// Keeps a name that was made at run time.
pub(crate) fn intern(text: &str) -> NameId {
    keep(&NAMES, cut(text), MADE)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

/// Keeps a name if there is room for it: of names of its origin there may be `made` at most.
fn keep(names: &RwLock<Names>, text: &str, made: usize) -> NameId {
    let known = |names: &Names| {
        let full = names.texts.len() >= CAPACITY || names.made >= made;
        names.ids.get(text).copied().or_else(|| full.then_some(NameId::OTHER))
    };
    // Also that there is no room is found out here: every new name would wait for the lock of a writer for ever.
    if let Some(id) = known(&names.read().unwrap_or_else(PoisonError::into_inner)) {
        return id;
    }
    let mut names = names.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(id) = known(&names) {
        return id;
    }
    let Ok(id) = u32::try_from(names.texts.len()).map(NameId) else { return NameId::OTHER };
    let text = Arc::<str>::from(text);
    names.texts.push(Arc::clone(&text));
    names.ids.insert(text, id);
    names.made += usize::from(made == MADE);
    id
}

thread_local! {
    /// Address and length of a static name, and its number. The same text at two addresses only costs a place.
    static KNOWN: [Cell<(usize, usize, NameId)>; CACHE] = const { [const { Cell::new((0, 0, NameId::NONE)) }; CACHE] };
}

/// Keeps a name from the source of the program, without a look at its text if this thread has seen it before.
pub(crate) fn intern_static(text: &'static str) -> NameId {
    let (address, length) = (text.as_ptr() as usize, text.len());
    KNOWN
        .try_with(|known| {
            let place = &known[(address >> 3) % CACHE];
            let (at, len, id) = place.get();
            if (at, len) == (address, length) {
                return id;
            }
            let id = keep(&NAMES, text, usize::MAX);
            place.set((address, length, id));
            id
        })
        .unwrap_or_else(|_| keep(&NAMES, text, usize::MAX))
}

/// The text of a name.
pub(crate) fn text(id: NameId) -> Arc<str> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let text = names.texts.get(id.0 as usize).unwrap_or(&names.texts[NameId::OTHER.0 as usize]);
    Arc::clone(text)
}

/// The number of a name that somebody asks for, if it was ever kept.
pub(crate) fn find(text: &str) -> Option<NameId> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    names.ids.get(text).or_else(|| names.ids.get(cut(text))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_comes_back() {
        let id = intern("names::tests::one");
        assert_eq!(id, intern(&String::from("names::tests::one")));
        assert_eq!(id, intern_static("names::tests::one"));
        assert_eq!(id, intern_static("names::tests::one"));
        assert_eq!(find("names::tests::one"), Some(id));
        assert_eq!(find("names::tests::never"), None);
        assert_eq!(&*text(id), "names::tests::one");
        assert_eq!((&*text(NameId::NONE), &*text(NameId::OTHER)), ("", "[other]"));
        assert_eq!((intern(""), intern("[other]")), (NameId::NONE, NameId::OTHER));
    }

    #[test]
    fn names_made_at_run_time_are_cut_and_leave_room_for_those_of_the_source() {
        let long = format!("names::tests::{}", "ä".repeat(MAX_BYTES));
        let id = intern(&long);
        assert!(text(id).len() <= MAX_BYTES && long.starts_with(&*text(id)));
        assert_eq!(find(&long), Some(id));
        let names = RwLock::default();
        let made: Vec<_> = (0..CAPACITY).map(|number| keep(&names, &number.to_string(), MADE)).collect();
        assert!(made[MADE - 1] != NameId::OTHER && made[MADE] == NameId::OTHER);
        let source: Vec<_> = (0..CAPACITY).map(|number| keep(&names, &format!("s{number}"), usize::MAX)).collect();
        assert!(source[CAPACITY - MADE - 3] != NameId::OTHER && source[CAPACITY - MADE - 2] == NameId::OTHER);
        assert_eq!((keep(&names, "0", MADE), keep(&names, "s0", usize::MAX)), (made[0], source[0]));
    }

    #[test]
    fn an_unknown_number_reads_as_other() {
        assert_eq!(&*text(NameId(u32::MAX)), "[other]");
    }
}
