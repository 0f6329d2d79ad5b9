//! The functions of a profile, the most expensive first.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Symbolized;

/// What one function costs, all its samples together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The qualified name.
    pub name: Arc<str>,
    /// The file of [`Self::line`].
    pub file: Option<Arc<str>>,
    /// The line that most of it goes to.
    pub line: Option<u32>,
    /// Of the function itself.
    pub flat: i64,
    /// With all that it calls; a function that calls itself counts once.
    pub cum: i64,
}

#[derive(Default)]
struct Sums<'a> {
    flat: i64,
    cum: i64,
    /// Own and total cost of each place in the source.
    places: HashMap<(&'a Arc<str>, u32), (i64, i64)>,
}

impl Symbolized {
    /// All functions with their costs of one value type, as `go tool pprof -top` adds them up: by name, the largest own
    /// cost first.
    #[must_use]
    pub fn top(&self, value: usize) -> Vec<Function> {
        let mut functions: HashMap<&Arc<str>, Sums<'_>> = HashMap::new();
        let mut seen = HashSet::new();
        for (sample, count) in self.counted(value) {
            seen.clear();
            for (depth, frame) in self.frames(sample).enumerate() {
                let name = &frame.symbol.name;
                let first = seen.insert(name);
                if !first && depth > 0 {
                    continue;
                }
                let sums = functions.entry(name).or_default();
                let own = if depth == 0 { count } else { 0 };
                let place = sums.places.entry((&frame.symbol.file, frame.line)).or_default();
                *place = (place.0.saturating_add(own), place.1.saturating_add(count));
                sums.flat = sums.flat.saturating_add(own);
                sums.cum = sums.cum.saturating_add(count);
            }
        }
        let mut functions: Vec<Function> = functions.into_iter().map(|(name, sums)| sums.into_function(name)).collect();
        functions.sort_by(|a, b| {
            let rank = |function: &Function| Reverse((function.flat.unsigned_abs(), function.cum.unsigned_abs()));
            rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
        });
        functions
    }
}

impl Sums<'_> {
    fn into_function(self, name: &Arc<str>) -> Function {
        let rank = |(own, total): (i64, i64)| (own.unsigned_abs(), total.unsigned_abs());
        let known = self.places.into_iter().filter(|((file, _), _)| !file.is_empty());
        let heaviest = known.max_by_key(|((file, line), costs)| (rank(*costs), Reverse((Arc::clone(file), *line))));
        let (file, line) = heaviest.map_or((None, 0), |((file, line), _)| (Some(Arc::clone(file)), line));
        Function { name: Arc::clone(name), file, line: (line > 0).then_some(line), flat: self.flat, cum: self.cum }
    }
}
