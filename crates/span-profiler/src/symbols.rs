//! From addresses of this process to functions, files and lines.
//!
//! What was found once is kept by address, so that the second profile of a service costs almost nothing. The debug
//! information that the search reads (tens of megabytes) is given back after each batch.

mod lookup;
mod maps;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use maps::Region;

use crate::profile::Profile;

/// How many addresses are kept at most. The profiles of a large service hold some thousand different addresses; ten
/// times that many take about 15 MB. A full cache is emptied as a whole: what is still in use comes back with the next
/// profile for the price of one search.
const LIMIT: usize = 65_536;

/// One process has one code, so it has one cache. The lock is held during a search: two at once would hold the debug
/// information twice.
static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(|| Mutex::new(Cache::new(LIMIT)));

/// A function as the source names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Symbol {
    /// The qualified name, or a placeholder in brackets; never empty.
    pub(crate) name: Arc<str>,
    /// The file that holds it; empty when unknown.
    pub(crate) file: Arc<str>,
}

/// One function at one address; inlined functions are frames of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which function.
    pub(crate) symbol: Arc<Symbol>,
    /// The line in its file; zero when unknown.
    pub(crate) line: u32,
}

/// A piece of a file that is mapped into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The first address.
    pub(crate) start: u64,
    /// The address behind the last.
    pub(crate) limit: u64,
    /// Where in the file the piece starts, in bytes.
    pub(crate) offset: u64,
    /// The file's path, or a name in brackets such as `[vdso]`.
    pub(crate) file: Arc<str>,
    /// In lower-case hex; empty if the file has none.
    pub(crate) build_id: Arc<str>,
}

/// All that is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// The innermost inlined function first, the function that has the code last; never empty.
    pub(crate) frames: Box<[Frame]>,
    /// None for frames without code and for code outside of all files.
    pub(crate) mapping: Option<Arc<Mapping>>,
}

/// The answers of one batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolved {
    /// Every address that was asked for.
    pub(crate) locations: HashMap<u64, Arc<Location>>,
    /// The code of the program itself.
    pub(crate) program: Option<Arc<Mapping>>,
}

/// Finds the functions of all these addresses. Unknown ones get placeholders. Slow at first: 0.1 s and more.
pub(crate) fn resolve(addresses: impl IntoIterator<Item = u64>) -> Resolved {
    // A panic elsewhere cannot leave the cache half written: each entry goes in whole.
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).resolve(addresses)
}

/// What was found so far.
#[derive(Debug)]
struct Cache {
    locations: HashMap<u64, Arc<Location>>,
    symbols: HashSet<Arc<Symbol>>,
    texts: HashSet<Arc<str>>,
    mappings: Vec<Arc<Mapping>>,
    program: Option<Arc<Mapping>>,
    limit: usize,
    /// How many addresses had to be searched for, ever.
    searched: usize,
}

impl Cache {
    fn new(limit: usize) -> Self {
        Self {
            locations: HashMap::new(),
            symbols: HashSet::new(),
            texts: HashSet::new(),
            mappings: Vec::new(),
            program: None,
            limit,
            searched: 0,
        }
    }

    fn resolve(&mut self, addresses: impl IntoIterator<Item = u64>) -> Resolved {
        let mut locations = HashMap::new();
        let mut unknown = Vec::new();
        for address in addresses {
            if let std::collections::hash_map::Entry::Vacant(slot) = locations.entry(address) {
                if address < Profile::FIRST_ADDRESS {
                    slot.insert(Arc::new(synthetic(address)));
                } else if let Some(known) = self.locations.get(&address) {
                    slot.insert(Arc::clone(known));
                } else {
                    unknown.push(address);
                }
            }
        }
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            self.search(&unknown, &mut locations);
        }
        Resolved { locations, program: self.program.clone() }
    }

    fn search(&mut self, unknown: &[u64], locations: &mut HashMap<u64, Arc<Location>>) {
        if self.locations.len().saturating_add(unknown.len()) > self.limit {
            *self = Self { searched: self.searched, ..Self::new(self.limit) };
        }
        self.searched = self.searched.saturating_add(unknown.len());
        for (address, location) in lookup::look_up(unknown, self) {
            let location = Arc::new(location);
            if self.locations.len() < self.limit {
                self.locations.insert(address, Arc::clone(&location));
            }
            locations.insert(address, location);
        }
    }

    fn frame(&mut self, name: &str, file: &str, line: u32) -> Frame {
        let symbol = Symbol { name: self.text(name), file: self.text(file) };
        if let Some(known) = self.symbols.get(&symbol) {
            return Frame { symbol: Arc::clone(known), line };
        }
        let symbol = Arc::new(symbol);
        self.symbols.insert(Arc::clone(&symbol));
        Frame { symbol, line }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    fn mapping(&mut self, region: &Region) -> Arc<Mapping> {
        let same = |mapping: &&Arc<Mapping>| {
            (mapping.start, mapping.limit, mapping.offset, &*mapping.file)
                == (region.start, region.limit, region.offset, region.name())
        };
        if let Some(known) = self.mappings.iter().find(same) {
            return Arc::clone(known);
        }
        let mapping = Arc::new(Mapping {
            start: region.start,
            limit: region.limit,
            offset: region.offset,
            file: Arc::from(region.name()),
            build_id: Arc::from(lookup::build_id(region)),
        });
        self.mappings.push(Arc::clone(&mapping));
        mapping
    }
}

/// Frames that stand for something else than code.
fn synthetic(address: u64) -> Location {
    let name = Profile::frame_without_code(address).map_or_else(|| format!("[frame {address}]").into(), Arc::from);
    let symbol = Arc::new(Symbol { name, file: Arc::from("") });
    Location { frames: Box::new([Frame { symbol, line: 0 }]), mapping: None }
}
