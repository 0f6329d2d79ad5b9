//! What belongs to what in a trace, and what its time went to.
//!
//! Nothing is taken for granted of the spans: parents may be missing, be their own children or end before their children
//! do, as clocks differ between processes and some work outlives what began it.

use std::cmp::Reverse;
use std::collections::HashMap;

/// What of a span matters here; times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    /// Whether the parent is in another process, so that it may be missing.
    pub(super) remote: bool,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Where a span stands when the tree is written down, parents before their children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number.
    pub(super) at: usize,
    /// How many spans it is below.
    pub(super) depth: usize,
    /// Whether it names a parent that should be above it and is not.
    pub(super) orphan: bool,
}

/// A part of the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) at: usize,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Spans with their children; a span is called by its number, which is its place by start.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// By start, as the spans are.
    children: Vec<Vec<usize>>,
    /// By start within the same parent.
    pub(super) places: Vec<Place>,
}

impl Tree {
    /// `nodes` are sorted by start. Of two with the same id the first has the children.
    pub(super) fn new(nodes: Vec<Node>) -> Self {
        let mut by_id = HashMap::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            by_id.entry(node.id).or_insert(at);
        }
        let parents: Vec<Option<usize>> =
            nodes.iter().map(|node| node.parent.and_then(|id| by_id.get(&id).copied())).collect();
        let mut children = vec![Vec::new(); nodes.len()];
        for (at, parent) in parents.iter().enumerate() {
            parent.iter().for_each(|parent| children[*parent].push(at));
        }
        let mut tree = Self { places: Vec::with_capacity(nodes.len()), nodes, children };
        let mut seen = vec![false; parents.len()];
        for at in (0..parents.len()).filter(|at| parents[*at].is_none()) {
            tree.place(at, &mut seen);
        }
        // What is left hangs below itself: it is cut there.
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent.filter(|_| !seen[at]) {
                tree.children[parent].retain(|child| *child != at);
                tree.place(at, &mut seen);
            }
        }
        tree.places.sort_by_key(|place| tree.nodes[place.at].start);
        tree.in_order()
    }

    /// Everything below `root`. No recursion here and below: a trace may be 10,000 spans deep.
    fn place(&mut self, root: usize, seen: &mut [bool]) {
        let orphan = self.nodes[root].parent.is_some() && !self.nodes[root].remote;
        self.places.push(Place { at: root, depth: 0, orphan });
        let mut next = vec![root];
        while let Some(at) = next.pop() {
            seen[at] = true;
            next.extend(&self.children[at]);
        }
    }

    /// From the roots alone to all places.
    fn in_order(mut self) -> Self {
        let mut next: Vec<Place> = self.places.drain(..).rev().collect();
        while let Some(place) = next.pop() {
            self.places.push(place);
            let below = |at: &usize| Place { at: *at, depth: place.depth + 1, orphan: false };
            next.extend(self.children[place.at].iter().rev().map(below));
        }
        self
    }

    /// The time of a span in which none of its children ran.
    pub(super) fn self_ns(&self, at: usize) -> u64 {
        let Node { start, end, .. } = self.nodes[at];
        let (mut covered, mut until) = (0, start);
        for child in &self.children[at] {
            let to = self.nodes[*child].end.min(end);
            let from = self.nodes[*child].start.max(until);
            covered += to.saturating_sub(from);
            until = until.max(to);
        }
        end.saturating_sub(start) - covered
    }

    /// The root that the trace is about: one that misses no parent before others, and the longest of these.
    pub(super) fn root(&self) -> Option<usize> {
        let roots = self.places.iter().filter(|place| place.depth == 0);
        let longest = |place: &&Place| {
            let Node { start, end, .. } = self.nodes[place.at];
            (!place.orphan, end - start, Reverse(start))
        };
        roots.max_by_key(longest).map(|place| place.at)
    }

    /// What the end of `root` waited for, by time: the parts join without gaps from its start to its end.
    ///
    /// As Jaeger's critical path and Uber's CRISP do it: from the end backwards to the child that ended last before; from
    /// its end on the parent itself was the reason, before that the child is, and from the child's start one goes on in
    /// the parent. A child counts while its parent ran only. One that took no time is never the reason.
    pub(super) fn critical_path(&self, root: usize) -> Vec<Segment> {
        let mut path = Vec::new();
        let mut next = vec![Segment { at: root, from: self.nodes[root].start, to: self.nodes[root].end }];
        while let Some(Segment { at, from, to }) = next.pop() {
            let within = |child: &usize| {
                let Node { start, end, .. } = self.nodes[*child];
                Segment { at: *child, from: start.max(from), to: end.min(to) }
            };
            let mut children: Vec<_> = self.children[at].iter().map(within).filter(|one| one.from < one.to).collect();
            children.sort_by_key(|child| (Reverse(child.to), child.from));
            let mut cursor = to;
            for child in children {
                if child.to <= cursor {
                    path.push(Segment { at, from: child.to, to: cursor });
                    cursor = child.from;
                    next.push(child);
                }
            }
            path.push(Segment { at, from, to: cursor });
        }
        path.retain(|segment| segment.from < segment.to);
        path.sort_by_key(|segment| segment.from);
        path
    }
}

#[cfg(test)]
mod tests;
