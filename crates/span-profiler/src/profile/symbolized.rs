//! A profile whose addresses have names, and the frames that people want to see of it.

use std::collections::HashMap;

use regex::Regex;

use super::{Profile, Sample};
use crate::symbols::{Frame, Location, Resolved, resolve};

/// A profile whose addresses have names; for all the forms in which people and programs read it.
#[derive(Debug, Clone)]
pub struct Symbolized {
    pub(super) profile: Profile,
    pub(super) resolved: Resolved,
    /// How many of a location's frames, from its innermost one, match `drop_frames` or are above one that does.
    cut: HashMap<u64, usize>,
}

impl Profile {
    /// Finds the functions of all addresses. This reads the debug information of the program and takes 0.1 s and more
    /// for addresses that no profile had before: in async code it belongs into `spawn_blocking`.
    #[must_use]
    pub fn symbolize(self) -> Symbolized {
        let resolved = resolve(self.samples.iter().flat_map(|sample| sample.stack.iter().copied()));
        Symbolized::new(self, resolved)
    }
}

impl Symbolized {
    pub(super) fn new(profile: Profile, resolved: Resolved) -> Self {
        // As in pprof, the expression must match the whole name.
        let pattern = profile.drop_frames.and_then(|pattern| Regex::new(&format!("^(?:{pattern})$")).ok());
        let cut = pattern.map_or_else(HashMap::new, |pattern| {
            let cut = |location: &Location| {
                let outermost = location.frames.iter().rposition(|frame| pattern.is_match(&frame.symbol.name));
                outermost.map(|index| index + 1)
            };
            resolved.locations.iter().filter_map(|(address, location)| Some((*address, cut(location)?))).collect()
        });
        Self { profile, resolved, cut }
    }

    /// The samples that count something, with what they count.
    pub(super) fn counted(&self, value: usize) -> impl Iterator<Item = (&Sample, i64)> {
        let count = move |sample: &Sample| sample.values.get(value).copied().unwrap_or(0);
        self.profile.samples.iter().map(move |sample| (sample, count(sample))).filter(|(_, count)| *count != 0)
    }

    /// The functions at an address, the innermost first.
    pub(super) fn frames_at(&self, address: u64) -> &[Frame] {
        self.resolved.locations.get(&address).map_or(&[], |location| &location.frames)
    }

    /// The names of the functions at an address of the profile, the innermost inlined one first.
    #[must_use]
    pub fn names_at(&self, address: u64) -> Vec<String> {
        self.frames_at(address).iter().map(|frame| frame.symbol.name.to_string()).collect()
    }

    /// The functions of a sample, the leaf first, without those that `drop_frames` leaves out. The rule is pprof's: on
    /// the way from the root, the first match after a frame that does not match ends the stack.
    pub(super) fn frames<'a>(&'a self, sample: &'a Sample) -> impl DoubleEndedIterator<Item = &'a Frame> {
        let mut first = 0;
        let mut others = false;
        for (index, address) in sample.stack.iter().enumerate().rev() {
            match self.cut.get(address) {
                None => others = true,
                Some(_) if !others => {}
                Some(cut) => {
                    first = if *cut == self.frames_at(*address).len() { index + 1 } else { index };
                    break;
                }
            }
        }
        sample.stack[first..].iter().flat_map(|address| {
            let frames = self.frames_at(*address);
            let cut = self.cut.get(address).copied().filter(|cut| *cut < frames.len());
            &frames[cut.unwrap_or(0)..]
        })
    }
}
