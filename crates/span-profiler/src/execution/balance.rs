//! Slices that nest, out of begins and ends that need not.

use std::collections::HashMap;
use std::hash::Hash;

/// What happens on a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark<K> {
    /// A slice begins; `first` unless it only goes on after one below it ended.
    Begin { at: u64, key: K, first: bool },
    /// The slice that began last ends.
    End { at: u64 },
}

/// A begin or an end as it was recorded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edge {
    Begin,
    End,
}

/// Keeps the slices of one thread nested and whole: what was open before the first event begins at the start, what stays open
/// ends at the end, and a slice that ends below others interrupts them for no time.
#[derive(Debug)]
pub(super) struct Balance<K> {
    open: Vec<K>,
}

impl<K: Copy + Eq + Hash> Balance<K> {
    /// Looks through all edges of a thread for ends without a begin. `outermost` was open all the time, outermost first.
    pub(super) fn new(outermost: Vec<K>, edges: impl Iterator<Item = (Edge, K)>) -> Self {
        let mut counts: HashMap<K, u64> = HashMap::new();
        let mut without_begin = Vec::new();
        for (edge, key) in edges {
            let count = counts.entry(key).or_default();
            match edge {
                Edge::Begin => *count += 1,
                Edge::End if *count > 0 => *count -= 1,
                Edge::End => without_begin.push(key),
            }
        }
        // The one that ends first is the innermost. A poll that ends was not open all the time.
        let mut open = outermost;
        open.retain(|key| !without_begin.contains(key));
        open.extend(without_begin.into_iter().rev());
        Self { open }
    }

    /// The slices that were open at the start.
    pub(super) fn start(&self, at: u64, mut emit: impl FnMut(Mark<K>)) {
        for key in &self.open {
            emit(Mark::Begin { at, key: *key, first: true });
        }
    }

    pub(super) fn edge(&mut self, at: u64, edge: Edge, key: K, mut emit: impl FnMut(Mark<K>)) {
        match edge {
            Edge::Begin => {
                self.open.push(key);
                emit(Mark::Begin { at, key, first: true });
            }
            Edge::End => {
                let Some(depth) = self.open.iter().rposition(|open| *open == key) else { return };
                for _ in depth..self.open.len() {
                    emit(Mark::End { at });
                }
                self.open.remove(depth);
                for key in &self.open[depth..] {
                    emit(Mark::Begin { at, key: *key, first: false });
                }
            }
        }
    }

    pub(super) fn finish(self, at: u64, mut emit: impl FnMut(Mark<K>)) {
        for _ in self.open {
            emit(Mark::End { at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+a` begins, `-a` ends; the times are counted.
    fn balanced(outermost: &str, events: &str) -> String {
        let edges: Vec<_> = events
            .split_whitespace()
            .map(|event| {
                let (edge, key) = event.split_at(1);
                (if edge == "+" { Edge::Begin } else { Edge::End }, key)
            })
            .collect();
        let mut text = Vec::new();
        let mut emit = |mark: Mark<&str>| {
            text.push(match mark {
                Mark::Begin { at, key, first } => format!("{at}+{key}{}", if first { "" } else { "'" }),
                Mark::End { at } => format!("{at}-"),
            });
        };
        let mut balance = Balance::new(outermost.split_whitespace().collect(), edges.iter().copied());
        balance.start(0, &mut emit);
        for (at, (edge, key)) in (1..).zip(edges) {
            balance.edge(at, edge, key, &mut emit);
        }
        balance.finish(9, &mut emit);
        text.join(" ")
    }

    #[test]
    fn slices_nest_whatever_was_recorded() {
        assert_eq!(balanced("", "+a +b -b -a"), "1+a 2+b 3- 4-");
        assert_eq!(balanced("", "-b +c -c -a"), "0+a 0+b 1- 2+c 3- 4-", "open at the start");
        assert_eq!(balanced("", "+a +b"), "1+a 2+b 9- 9-", "open at the end");
        assert_eq!(balanced("", "+a +b -a -b"), "1+a 2+b 3- 3- 3+b' 4-", "ends below another");
        assert_eq!(balanced("p", "+a -a"), "0+p 1+a 2- 9-", "open all the time");
        assert_eq!(balanced("p", "+a -a -p"), "0+p 1+a 2- 3-", "thought to be open, but ended");
        assert_eq!(balanced("", "+a +a -a -a -a"), "0+a 1+a 2+a 3- 4- 5-", "the same one twice");
        assert_eq!(balanced("p", ""), "0+p 9-");
    }
}
