//! Names of spans and tasks, each kept once, so that a sample carries a number instead of a text.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// Names that are kept; further ones share [`NameId::OTHER`]. A program has some hundred spans in its source, so only
/// names made at run time come here, and those must not fill the memory of a process that never forgets one.
pub(crate) const CAPACITY: usize = 4_096;

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
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(|| {
    let texts: Vec<Arc<str>> = vec![Arc::from(""), Arc::from("[other]")];
    let ids = texts.iter().cloned().zip([NameId::NONE, NameId::OTHER]).collect();
    RwLock::new(Names { ids, texts })
});

/// Keeps a name.
pub(crate) fn intern(text: &str) -> NameId {
    if let Some(id) = NAMES.read().unwrap_or_else(PoisonError::into_inner).ids.get(text) {
        return *id;
    }
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(id) = names.ids.get(text) {
        return *id;
    }
    match u32::try_from(names.texts.len()) {
        Ok(next) if names.texts.len() < CAPACITY => {
            let (text, id) = (Arc::<str>::from(text), NameId(next));
            names.texts.push(Arc::clone(&text));
            names.ids.insert(text, id);
            id
        }
        _ => NameId::OTHER,
    }
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
            let id = intern(text);
            place.set((address, length, id));
            id
        })
        .unwrap_or_else(|_| intern(text))
}

/// The text of a name.
pub(crate) fn text(id: NameId) -> Arc<str> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let text = names.texts.get(id.0 as usize).unwrap_or(&names.texts[NameId::OTHER.0 as usize]);
    Arc::clone(text)
}

/// The number of a name that somebody asks for, if it was ever kept.
pub(crate) fn find(text: &str) -> Option<NameId> {
    NAMES.read().unwrap_or_else(PoisonError::into_inner).ids.get(text).copied()
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
    fn an_unknown_number_reads_as_other() {
        assert_eq!(&*text(NameId(u32::MAX)), "[other]");
    }
}
