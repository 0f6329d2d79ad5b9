//! The functions of a profile, the most expensive first.

use std::cmp::Reverse;
use std::sync::Arc;

use super::Symbolized;
use super::stacks::Index;

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

#[derive(Clone, Copy, Default)]
struct Costs {
    own: i64,
    total: i64,
    /// The number of the last sample that it was in; zero is none.
    seen: usize,
}

impl Costs {
    fn size(&self) -> (u64, u64) {
        (self.own.unsigned_abs(), self.total.unsigned_abs())
    }
}

impl Symbolized {
    /// All functions with their costs of one value type, as `go tool pprof -top` adds them up: by name, the largest own
    /// cost first.
    #[must_use]
    pub fn top(&self, value: usize) -> Vec<Function> {
        let index = Index::new(self);
        let mut functions = vec![Costs::default(); index.names.texts.len()];
        let mut frames = vec![Costs::default(); index.frames.len()];
        for (number, (sample, count)) in self.counted(value).enumerate() {
            for (depth, frame) in index.frames(self, sample).enumerate() {
                for costs in [&mut functions[index.names_of[frame]], &mut frames[frame]] {
                    if depth == 0 {
                        costs.own = costs.own.saturating_add(count);
                    }
                    if costs.seen != number + 1 {
                        costs.total = costs.total.saturating_add(count);
                        costs.seen = number + 1;
                    }
                }
            }
        }

        // Of the places of a function, the heaviest one with a file.
        let mut places: Vec<Option<usize>> = vec![None; functions.len()];
        for (number, costs) in frames.iter().enumerate().filter(|(_, costs)| costs.seen > 0) {
            let rank = |number: usize, costs: &Costs| {
                let frame = index.frames[number];
                (!frame.symbol.file.is_empty(), costs.size(), Reverse((&frame.symbol.file, frame.line)))
            };
            let place = &mut places[index.names_of[number]];
            if place.is_none_or(|other| rank(number, costs) > rank(other, &frames[other])) {
                *place = Some(number);
            }
        }
        let mut top: Vec<(Costs, Function)> = Vec::new();
        for (costs, place) in functions.iter().zip(places) {
            if let Some(place) = place {
                let frame = index.frames[place];
                top.push((
                    *costs,
                    Function {
                        name: Arc::clone(&frame.symbol.name),
                        file: (!frame.symbol.file.is_empty()).then(|| Arc::clone(&frame.symbol.file)),
                        line: (frame.line > 0).then_some(frame.line),
                        flat: costs.own,
                        cum: costs.total,
                    },
                ));
            }
        }
        top.sort_by(|(a, one), (b, other)| b.size().cmp(&a.size()).then_with(|| one.name.cmp(&other.name)));
        top.into_iter().map(|(_, function)| function).collect()
    }
}
