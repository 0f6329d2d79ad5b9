//! Catches: children counted twice or beyond their parent, a path with gaps or with a child that nobody waited for, spans
//! that are lost, and trees that never end.

use proptest::prelude::*;

use super::*;

/// The id of a parent in another process.
const REMOTE: u64 = 99;

/// Spans by id, parent (0: none), start and end.
fn tree(spans: &[(u64, u64, u64, u64)]) -> Tree {
    let node = |&(id, parent, start, end)| Node {
        id,
        parent: Some(parent).filter(|id| *id != 0),
        remote: parent == REMOTE,
        start,
        end,
    };
    Tree::new(spans.iter().map(node).collect())
}

impl Tree {
    fn written(&self) -> Vec<(u64, usize, bool)> {
        self.places.iter().map(|place| (self.nodes[place.at].id, place.depth, place.orphan)).collect()
    }

    fn path(&self) -> Vec<(u64, u64, u64)> {
        let path = self.critical_path(self.root().unwrap());
        path.iter().map(|segment| (self.nodes[segment.at].id, segment.from, segment.to)).collect()
    }
}

#[test]
fn children_stand_below_their_parents_by_start() {
    let tree = tree(&[(1, 0, 0, 100), (2, 1, 10, 40), (4, 2, 20, 30), (3, 1, 50, 90)]);
    assert_eq!(tree.written(), [(1, 0, false), (2, 1, false), (4, 2, false), (3, 1, false)]);
    assert_eq!((0..4).map(|at| tree.self_ns(at)).collect::<Vec<_>>(), [30, 20, 10, 40]);
    assert_eq!(
        tree.path(),
        [(1, 0, 10), (2, 10, 20), (4, 20, 30), (2, 30, 40), (1, 40, 50), (3, 50, 90), (1, 90, 100)]
    );
}

#[test]
fn overlapping_children_count_once_and_only_the_last_one_was_waited_for() {
    let tree = tree(&[(1, 0, 0, 100), (2, 1, 10, 60), (3, 1, 20, 50), (4, 1, 40, 80)]);
    assert_eq!(tree.self_ns(0), 30);
    // 2 and 3 ran while 4 did: before 4 began, nothing that had ended was waited for.
    assert_eq!(tree.path(), [(1, 0, 40), (4, 40, 80), (1, 80, 100)]);
}

#[test]
fn a_child_counts_within_its_parent_only() {
    // A clock behind, a clock ahead, and work that outlives the request.
    let tree = tree(&[(2, 1, 5, 20), (1, 0, 10, 100), (3, 1, 90, 300), (4, 1, 150, 200)]);
    assert_eq!(tree.self_ns(1), 70);
    assert_eq!(tree.path(), [(2, 10, 20), (1, 20, 90), (3, 90, 100)]);
    assert_eq!(tree.written(), [(1, 0, false), (2, 1, false), (3, 1, false), (4, 1, false)]);
}

#[test]
fn what_took_no_time_is_no_reason() {
    let spans = tree(&[(1, 0, 0, 100), (2, 1, 50, 50), (3, 1, 100, 100)]);
    assert_eq!((spans.self_ns(0), spans.path()), (100, vec![(1, 0, 100)]));
    assert_eq!(tree(&[(1, 0, 7, 7), (2, 1, 7, 7)]).path(), []);
    assert_eq!(tree(&[]).root(), None);
}

#[test]
fn a_span_without_its_parent_is_a_root_with_a_note() {
    let tree = tree(&[(2, 9, 0, 500), (1, 0, 10, 100), (3, 2, 20, 30)]);
    assert_eq!(tree.written(), [(2, 0, true), (3, 1, false), (1, 0, false)]);
    assert_eq!(tree.path(), [(1, 10, 100)], "the trace is about what has no parent, however long others are");
}

#[test]
fn a_parent_in_another_process_is_not_missed() {
    let tree = tree(&[(2, 9, 0, 500), (1, REMOTE, 10, 100)]);
    assert_eq!(tree.written(), [(2, 0, true), (1, 0, false)]);
    assert_eq!(tree.path(), [(1, 10, 100)]);
}

#[test]
fn spans_that_are_their_own_parents_are_shown_once() {
    for spans in [&[(1, 1, 0, 9)][..], &[(1, 2, 0, 9), (2, 1, 1, 8), (3, 2, 2, 3)], &[(1, 0, 0, 9), (1, 1, 1, 8)]] {
        let tree = tree(spans);
        let mut shown: Vec<_> = tree.places.iter().map(|place| place.at).collect();
        shown.sort_unstable();
        assert_eq!(shown, (0..spans.len()).collect::<Vec<_>>(), "{spans:?}");
        assert_eq!(tree.path().iter().map(|(_, from, to)| to - from).sum::<u64>(), 9, "{spans:?}");
    }
}

#[test]
fn a_deep_trace_needs_no_deep_stack() {
    let spans: Vec<_> = (1..=100_000).map(|id| (id, id - 1, id, 300_000 - id)).collect();
    let tree = tree(&spans);
    assert_eq!(tree.places.last().unwrap().depth, 99_999);
    assert_eq!(tree.path().len(), 2 * 100_000 - 1);
}

proptest! {
    #[test]
    fn fuzz_trees(mut spans in prop::collection::vec((1..12_u64, 0..14_u64, 0..60_u64, 0..30_u64), 1..20)) {
        spans.sort_by_key(|span| span.2);
        spans.iter_mut().for_each(|span| span.3 += span.2);
        let tree = tree(&spans);
        let mut shown: Vec<_> = tree.places.iter().map(|place| place.at).collect();
        shown.sort_unstable();
        prop_assert_eq!(shown, (0..spans.len()).collect::<Vec<_>>());
        for at in 0..spans.len() {
            let inside = |time: u64| tree.children[at].iter().any(|child| (spans[*child].2..spans[*child].3).contains(&time));
            let alone = (spans[at].2..spans[at].3).filter(|time| !inside(*time)).count();
            prop_assert_eq!(tree.self_ns(at), alone as u64);
        }
        let root = tree.root().unwrap();
        let mut cursor = spans[root].2;
        for segment in tree.critical_path(root) {
            prop_assert_eq!(segment.from, cursor);
            prop_assert!(spans[segment.at].2 <= segment.from && segment.to <= spans[segment.at].3);
            cursor = segment.to;
        }
        prop_assert_eq!(cursor, spans[root].3);
    }
}
