//! Samples, summed up by stack and label, in memory that is known.
//!
//! Stacks share their callers: each is a node that names its address and the node of its caller, so one more
//! leaf costs one more node.

use std::collections::HashMap;
use std::mem::size_of;

use crate::labels::Label;
use crate::profile::Profile;
use crate::ring::RawSample;

/// The root of all stacks, and no label.
const NONE: u32 = u32::MAX;

/// How often something was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Timer expiries.
    pub(crate) count: u64,
    /// CPU time in nanoseconds.
    pub(crate) nanoseconds: u64,
}

impl Weight {
    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.nanoseconds += other.nanoseconds;
    }
}

/// Samples that are being summed up.
#[derive(Debug, Clone, Default)]
pub(crate) struct SampleSet {
    tables: Tables,
    /// Node by caller and address.
    nodes: HashMap<(u32, u64), u32>,
    labels: HashMap<Label, u32>,
    weights: HashMap<(u32, u32), Weight>,
}

/// Samples that were summed up: a third of the memory, and nothing can be added.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    tables: Tables,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    addresses: Vec<u64>,
    callers: Vec<u32>,
    labels: Vec<Label>,
}

/// Eight bytes of each field would be a third more.
#[derive(Debug, Clone, Copy)]
struct Entry {
    stack: u32,
    label: u32,
    count: u32,
    /// In two halves, so that nothing needs an alignment of eight.
    nanoseconds: [u32; 2],
}

/// One sum of a set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    tables: &'a Tables,
    stack: u32,
    pub(crate) label: Option<Label>,
    pub(crate) weight: Weight,
}

impl SampleSet {
    /// Adds a sample.
    pub(crate) fn add(&mut self, sample: &RawSample) {
        let mut node = NONE;
        let truncated = sample.truncated.then_some(Profile::TRUNCATED);
        for address in truncated.into_iter().chain(sample.stack.iter().rev().copied()) {
            node = self.node(node, address);
        }
        let label = sample.label.map_or(NONE, |label| self.label(label));
        let weight = Weight { count: sample.count, nanoseconds: sample.count.saturating_mul(sample.period) };
        self.weights.entry((node, label)).or_default().add(weight);
    }

    fn node(&mut self, caller: u32, address: u64) -> u32 {
        let Tables { addresses, callers, .. } = &mut self.tables;
        *self.nodes.entry((caller, address)).or_insert_with(|| {
            let node = next(addresses.len());
            addresses.push(address);
            callers.push(caller);
            node
        })
    }

    fn label(&mut self, label: Label) -> u32 {
        let labels = &mut self.tables.labels;
        *self.labels.entry(label).or_insert_with(|| {
            let number = next(labels.len());
            labels.push(label);
            number
        })
    }

    /// Memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.tables.bytes() + map_bytes(&self.nodes) + map_bytes(&self.labels) + map_bytes(&self.weights)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Gives up the tables that are only needed for adding.
    pub(crate) fn seal(self) -> Sealed {
        let Self { mut tables, nodes, labels, weights } = self;
        drop((nodes, labels));
        let mut entries = Vec::with_capacity(weights.len());
        for ((stack, label), weight) in weights {
            #[expect(clippy::cast_possible_truncation, reason = "the halves are wanted")]
            let nanoseconds = [(weight.nanoseconds >> 32) as u32, weight.nanoseconds as u32];
            // Four thousand million expiries in one segment would be months of CPU time.
            let count = u32::try_from(weight.count).unwrap_or(u32::MAX);
            entries.push(Entry { stack, label, count, nanoseconds });
        }
        tables.addresses.shrink_to_fit();
        tables.callers.shrink_to_fit();
        tables.labels.shrink_to_fit();
        Sealed { tables, entries }
    }

    /// Every sum.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.weights.iter().map(|((stack, label), weight)| self.tables.seen(*stack, *label, *weight))
    }
}

impl Sealed {
    /// Memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.tables.bytes() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Every sum.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.entries.iter().map(|entry| {
            let [high, low] = entry.nanoseconds.map(u64::from);
            let weight = Weight { count: entry.count.into(), nanoseconds: high << 32 | low };
            self.tables.seen(entry.stack, entry.label, weight)
        })
    }
}

impl Tables {
    fn bytes(&self) -> usize {
        self.addresses.capacity() * size_of::<u64>()
            + self.callers.capacity() * size_of::<u32>()
            + self.labels.capacity() * size_of::<Label>()
    }

    fn seen(&self, stack: u32, label: u32, weight: Weight) -> Seen<'_> {
        Seen { tables: self, stack, label: self.labels.get(label as usize).copied(), weight }
    }
}

impl Seen<'_> {
    /// The addresses of the stack, the leaf first.
    pub(crate) fn stack(&self) -> impl Iterator<Item = u64> {
        let Tables { addresses, callers, .. } = self.tables;
        let mut node = self.stack;
        std::iter::from_fn(move || {
            let address = *addresses.get(node as usize)?;
            node = *callers.get(node as usize)?;
            Some(address)
        })
    }
}

/// The number of the next entry. Tables are bounded far below by their owners.
fn next(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(NONE - 1)
}

/// What a map of the standard library takes: room for an eighth more than its capacity, rounded to a power of
/// two, and a byte of control for each place and 16 more.
fn map_bytes<K, V>(map: &HashMap<K, V>) -> usize {
    if map.capacity() == 0 {
        return 0;
    }
    let places = (map.capacity() + map.capacity() / 7).next_power_of_two();
    places * (size_of::<(K, V)>() + 1) + 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NameId;

    fn sample(stack: &[u64], label: Option<Label>, count: u64) -> RawSample {
        RawSample { count, period: 10, label, stack: stack.to_vec(), truncated: false }
    }

    type Sums = Vec<(Vec<u64>, Option<u64>, u64, u64)>;

    fn sums<'a>(seen: impl Iterator<Item = Seen<'a>>) -> Sums {
        let one = |seen: Seen<'_>| {
            let label = seen.label.map(|label| label.span_id);
            (seen.stack().collect(), label, seen.weight.count, seen.weight.nanoseconds)
        };
        let mut sums: Sums = seen.map(one).collect();
        sums.sort();
        sums
    }

    #[test]
    fn equal_stacks_with_equal_labels_are_one_sum_before_and_after_sealing() {
        let label = |span_id| Some(Label { name: NameId(3), span_id, ..Label::default() });
        let mut set = SampleSet::default();
        assert!(set.is_empty());
        for (stack, label, count) in [
            (&[5001, 5000][..], label(1), 1),
            (&[5001, 5000], label(1), 3),
            (&[5001, 5000], label(2), 1),
            (&[5001, 5000], None, 1),
            (&[5000], label(1), 1),
            (&[5001], label(1), 1),
            (&[], None, 1),
        ] {
            set.add(&sample(stack, label, count));
        }
        let truncated = RawSample { truncated: true, ..sample(&[5000], None, u64::from(u32::MAX)) };
        set.add(&truncated);
        let expected = vec![
            (vec![], None, 1, 10),
            (vec![5000], Some(1), 1, 10),
            (vec![5000, Profile::TRUNCATED], None, u64::from(u32::MAX), u64::from(u32::MAX) * 10),
            (vec![5001], Some(1), 1, 10),
            (vec![5001, 5000], None, 1, 10),
            (vec![5001, 5000], Some(1), 4, 40),
            (vec![5001, 5000], Some(2), 1, 10),
        ];
        assert_eq!(sums(set.iter()), expected);
        let before = set.bytes();
        let sealed = set.seal();
        assert_eq!(sums(sealed.iter()), expected);
        assert!(sealed.bytes() < before / 2, "{} {before}", sealed.bytes());
    }
}
