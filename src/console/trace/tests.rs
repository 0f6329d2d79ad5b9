//! Catches: times of the wrong span, exemplars that mark nothing, links to what is not there.

use super::*;
use crate::console::store::{Kind, Link, SeriesName, Status};

const START: u64 = 1_700_000_000_000_000_000;

fn span(span_id: u64, parent: u64, from: u64, to: u64) -> Span {
    Span {
        span_id,
        parent_id: Some(parent).filter(|id| *id != 0),
        remote_parent: false,
        name: format!("span {span_id}"),
        kind: Kind::Internal,
        start_unix_ns: START + from,
        duration_ns: to - from,
        status: Status::Unset,
        marked: false,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        left_out: 0,
    }
}

fn view(spans: Vec<Span>, cpu: &[(u64, u64)]) -> View {
    let series = SeriesName { metric: "m".to_owned(), attributes: Vec::new() }.into();
    let exemplar = Exemplar { series, value: 0.5, unix_ns: START, trace_id: 7, span_id: 2 };
    let trace = Trace { trace_id: 7, spans, spans_left_out: 3, exemplars: vec![exemplar] };
    View::new(trace, &cpu.iter().copied().collect(), &Store::new(1 << 20)).unwrap()
}

#[test]
fn each_span_has_its_times() {
    let mut failed = span(2, 1, 20, 60);
    failed.status = Status::Error(String::new());
    failed.links.push(Link { trace_id: 8, span_id: 1 });
    let view = view(vec![span(9, 8, 0, 5), span(1, 0, 10, 100), failed], &[(2, 15), (4, 2)]);
    assert_eq!((view.start_unix_ns, view.duration_ns, view.errors, view.cpu_ns), (START, 100, 1, Some(17)));
    assert_eq!(view.spans.iter().map(|row| row.span.span_id).collect::<Vec<_>>(), [9, 1, 2]);
    assert_eq!(view.spans[view.root].span.span_id, 1);
    let [orphan, root, child] = &view.spans[..] else { panic!("{view:?}") };
    assert!(orphan.orphan && orphan.critical.is_empty());
    assert_eq!((root.self_ns, &root.critical, root.depth), (50, &vec![(10, 20), (60, 100)], 0));
    assert_eq!((child.self_ns, &child.critical, child.depth), (40, &vec![(20, 60)], 1));
    assert_eq!(root.activity, Activity::default(), "no sample says nothing of a short span");
    assert_eq!(child.activity, Activity { busy_ns: Some(15), idle_ns: Some(25), sampled: true });
    assert_eq!((view.exemplars_of(2).count(), view.exemplars_of(1).count(), view.spans_left_out), (1, 0, 3));
    assert!(child.kept_links.is_empty(), "that trace is not here");
}

#[test]
fn what_a_span_says_of_itself_comes_before_estimates() {
    let mut said = span(1, 0, 0, 100);
    said.attributes = vec![("busy_ns".to_owned(), Value::Int(30)), ("idle_ns".to_owned(), Value::Int(70))];
    let view = view(vec![said], &[(1, 99)]);
    assert_eq!(view.spans[0].activity, Activity { busy_ns: Some(30), idle_ns: Some(70), sampled: false });
}
