//! Stacks of names with their sums, for the forms that print every frame.
//!
//! A name can be a hundred bytes long and a stack hundreds of frames deep, so that the texts of a large profile would
//! take gigabytes. Names are numbers here until it is known which stacks are large enough to be shown.

use std::collections::{BTreeMap, HashMap};

use super::{Sample, Symbolized};
use crate::symbols::Frame;

/// The frame in place of a span's name.
const NO_SPAN: &str = "[no span]";
/// The frame of what is too small to have one of its own at the root.
const OTHER: &str = "[other]";

/// A number for each frame and each name of a profile.
pub(super) struct Index<'a> {
    pub(super) frames: Vec<&'a Frame>,
    /// The number of each frame's name.
    pub(super) names_of: Vec<usize>,
    pub(super) names: Names<'a>,
    numbers: HashMap<u64, Vec<usize>>,
}

#[derive(Default)]
pub(super) struct Names<'a> {
    pub(super) texts: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn number(&mut self, text: &'a str) -> usize {
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}

impl<'a> Index<'a> {
    pub(super) fn new(symbolized: &'a Symbolized) -> Self {
        let mut index =
            Self { frames: Vec::new(), names_of: Vec::new(), names: Names::default(), numbers: HashMap::new() };
        let mut known = HashMap::new();
        for (address, location) in &symbolized.resolved.locations {
            let numbers = location.frames.iter().map(|frame| {
                *known.entry((&frame.symbol, frame.line)).or_insert_with(|| {
                    index.frames.push(frame);
                    index.names_of.push(index.names.number(&frame.symbol.name));
                    index.frames.len() - 1
                })
            });
            let numbers = numbers.collect();
            index.numbers.insert(*address, numbers);
        }
        index
    }

    /// The numbers of a sample's frames, the leaf first.
    pub(super) fn frames(
        &self,
        symbolized: &'a Symbolized,
        sample: &'a Sample,
    ) -> impl DoubleEndedIterator<Item = usize> {
        symbolized.places(sample).flat_map(|(address, cut)| {
            self.numbers.get(&address).and_then(|numbers| numbers.get(cut..)).unwrap_or(&[]).iter().copied()
        })
    }
}

/// The number of a span's name, and the addresses in it.
type Place<'a> = (Option<usize>, &'a [u64]);

/// One stack as numbers of names, the root first.
struct Row {
    names: Box<[usize]>,
    sum: i64,
}

impl Symbolized {
    /// The joined names of each stack with its sum. What is less than one of so many parts of the whole is counted to
    /// its caller; what sums up to nothing is left out.
    pub(super) fn stacks(&self, value: usize, parts: u64) -> BTreeMap<String, i64> {
        let mut index = Index::new(self);
        let rows = self.rows(value, &mut index);
        let size = |rows: &[Row]| rows.iter().map(|row| u128::from(row.sum.unsigned_abs())).sum::<u128>();
        let smallest = size(&rows) / u128::from(parts.max(1));

        let mut stacks: BTreeMap<String, i64> = BTreeMap::new();
        let mut work = vec![(&rows[..], 0)];
        while let Some((rows, depth)) = work.pop() {
            // Of rows that begin alike, the one that ends first is the first.
            let ends = rows.partition_point(|row| row.names.len() == depth);
            let mut sum = if depth == 0 { 0 } else { sum_of(&rows[..ends]) };
            for group in rows[ends..].chunk_by(|one, next| one.names[depth] == next.names[depth]) {
                if size(group) > smallest || smallest == 0 {
                    work.push((group, depth + 1));
                } else {
                    sum = sum.saturating_add(sum_of(group));
                }
            }
            if let (Some(row), true) = (rows.first(), sum != 0) {
                let stack = join(row.names[..depth].iter().map(|name| index.names.texts[*name]));
                let stack = stacks.entry(if depth == 0 { OTHER.to_owned() } else { stack }).or_default();
                *stack = stack.saturating_add(sum);
            }
        }
        stacks.retain(|_, sum| *sum != 0);
        stacks
    }

    /// All stacks in order. Samples that differ in other labels than the span's name are one.
    fn rows<'a>(&'a self, value: usize, index: &mut Index<'a>) -> Vec<Row> {
        let spans = self.profile.samples.iter().any(|sample| sample.label("span_name").is_some());
        let mut sums: HashMap<Place<'_>, (i64, &Sample)> = HashMap::new();
        for (sample, count) in self.counted(value) {
            let name = sample.label("span_name").filter(|name| !name.is_empty()).unwrap_or(NO_SPAN);
            let span = spans.then(|| index.names.number(name));
            let (sum, _) = sums.entry((span, &sample.stack)).or_insert((0, sample));
            *sum = sum.saturating_add(count);
        }
        let row = |((span, _), (sum, sample)): (Place<'_>, (i64, &'a Sample))| {
            let frames = index.frames(self, sample).rev().map(|frame| index.names_of[frame]);
            Row { names: span.into_iter().chain(frames).collect(), sum }
        };
        let mut rows: Vec<Row> = sums.into_iter().map(row).collect();
        rows.sort_unstable_by(|a, b| a.names.cmp(&b.names));
        rows
    }
}

fn sum_of(rows: &[Row]) -> i64 {
    rows.iter().fold(0, |sum, row| sum.saturating_add(row.sum))
}

/// What separates frames and lines must not be in a name.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, name) in names.enumerate() {
        if index > 0 {
            line.push(';');
        }
        line.extend(name.chars().map(|char| if char == ';' { ',' } else { printable(char) }));
    }
    line
}

/// What neither lines nor XML can hold becomes a space.
pub(super) fn printable(char: char) -> char {
    if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') { ' ' } else { char }
}
