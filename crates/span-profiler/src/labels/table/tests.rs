use super::*;

fn table() -> Table {
    let entries: Vec<_> = std::iter::repeat_with(Entry::new).take(PLACES as usize).collect();
    let Ok(entries) = <Box<[Entry; PLACES as usize]>>::try_from(entries.into_boxed_slice()) else { unreachable!() };
    Table { entries: Box::leak(entries), lost: AtomicU64::new(0) }
}

fn ids(trace_id: u128, span_id: u64) -> Option<Ids> {
    Some(Ids { trace_id, span_id })
}

fn read(table: &Table, id: u64, owner: u32) -> Option<Label> {
    table.read(Place { id, owner, index: table.find(id, owner)? })
}

#[test]
fn a_root_is_its_own_root_and_children_carry_it() {
    let table = table();
    let root = table.insert(1, 0, NameId(10), None).unwrap();
    assert_eq!(read(&table, 1, 0), None, "not entered yet");
    table.resolve(root, ids(7, 100));
    let child = table.insert(2, 0, NameId(20), Some(Place { id: 1, owner: 0, index: root })).unwrap();
    table.resolve(child, ids(7, 200));
    let hidden = table.insert(3, 0, NameId(30), Some(Place { id: 2, owner: 0, index: child })).unwrap();
    table.resolve(hidden, None);
    let expected = Label { name: NameId(10), root_name: NameId(10), span_id: 100, root_span_id: 100, trace_id: 7 };
    assert_eq!(read(&table, 1, 0), Some(expected));
    assert_eq!(read(&table, 2, 0), Some(Label { name: NameId(20), span_id: 200, ..expected }));
    assert_eq!(read(&table, 3, 0), Some(Label { name: NameId(30), span_id: 200, ..expected }));
}

#[test]
fn another_trace_has_another_root() {
    let table = table();
    let outer = table.insert(1, 0, NameId(10), None).unwrap();
    table.resolve(outer, ids(7, 100));
    let inner = table.insert(2, 0, NameId(20), Some(Place { id: 1, owner: 0, index: outer })).unwrap();
    table.resolve(inner, ids(8, 200));
    let expected = Label { name: NameId(20), root_name: NameId(20), span_id: 200, root_span_id: 200, trace_id: 8 };
    assert_eq!(read(&table, 2, 0), Some(expected));
}

#[test]
fn without_opentelemetry_there_are_names() {
    let table = table();
    let root = table.insert(1, 0, NameId(10), None).unwrap();
    table.resolve(root, None);
    let child = table.insert(2, 0, NameId(20), Some(Place { id: 1, owner: 0, index: root })).unwrap();
    table.resolve(child, None);
    let expected = Label { name: NameId(20), root_name: NameId(10), ..Label::default() };
    assert_eq!(read(&table, 2, 0), Some(expected));
}

#[test]
fn a_closed_span_has_no_label_and_leaves_its_place() {
    let table = table();
    let index = table.insert(1, 0, NameId(10), None).unwrap();
    table.resolve(index, ids(7, 100));
    let place = Place { id: 1, owner: 0, index };
    table.remove(1, 0);
    assert_eq!((table.read(place), table.find(1, 0)), (None, None));
    assert_eq!(table.insert(1, 0, NameId(11), None), Some(index));
    assert_eq!(read(&table, 1, 0), None, "nothing of the span before is left");
}

#[test]
fn equal_numbers_of_two_layers_are_two_spans() {
    let table = table();
    let first = table.insert(1, 1, NameId(10), None).unwrap();
    let second = table.insert(1, 2, NameId(20), None).unwrap();
    assert_ne!(first, second);
    table.remove(1, 1);
    assert_eq!((table.find(1, 1), table.find(1, 2)), (None, Some(second)));
}

#[test]
fn a_span_without_room_is_counted() {
    let table = table();
    // Far more than a window, all at the place of one number.
    let (mut placed, mut lost) = (0, 0);
    for owner in 0..WINDOW + 5 {
        match table.insert(42, owner, NameId(1), None) {
            Some(_) => placed += 1,
            None => lost += 1,
        }
    }
    assert_eq!((placed, lost, table.lost()), (WINDOW, 5, 5));
}

#[test]
fn two_thirds_of_the_table_fit() {
    let table = table();
    let spans = PLACES as u64 * 2 / 3;
    // As a sharded slab numbers them: a shard in the upper bits, places counting up in the lower ones.
    let number = |n: u64| (n % 8) << 38 | (n / 8 + 1);
    for n in 0..spans {
        table.insert(number(n), 0, NameId(1), None);
    }
    assert_eq!(table.lost(), 0);
    assert!((0..spans).all(|n| table.find(number(n), 0).is_some()));
}

#[test]
fn a_reader_beside_writers_never_sees_two_spans_in_one() {
    let table = &table();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for owner in 0..3_u32 {
            let stop = &stop;
            scope.spawn(move || {
                let mut number = u64::from(owner) + 1;
                while !stop.load(Ordering::Relaxed) {
                    let name = u32::try_from(number % 1_000_000).unwrap();
                    if let Some(index) = table.insert(number, 0, NameId(name), None) {
                        table.resolve(index, ids(u128::from(number), number));
                        table.remove(number, 0);
                    }
                    number += 3;
                }
            });
        }
        let mut seen = 0;
        let mut guess = 0_u64;
        while seen < 2_000 {
            guess += 1;
            let index = u32::try_from(guess % PLACES as u64).unwrap();
            let id = table.entries[index as usize].key.load(Ordering::Acquire);
            if id == EMPTY || id == TAKEN {
                continue;
            }
            if let Some(label) = table.read(Place { id, owner: 0, index }) {
                seen += 1;
                assert_eq!((label.span_id, label.trace_id), (id, u128::from(id)));
                assert_eq!(u64::from(label.name.0), id % 1_000_000);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_parent_that_was_closed_gives_nothing() {
    let table = table();
    let parent = table.insert(1, 0, NameId(10), None).unwrap();
    table.resolve(parent, ids(7, 100));
    let child = table.insert(2, 0, NameId(20), Some(Place { id: 1, owner: 0, index: parent })).unwrap();
    table.remove(1, 0);
    table.resolve(child, None);
    assert_eq!(read(&table, 2, 0), Some(Label { name: NameId(20), root_name: NameId(20), ..Label::default() }));
}
