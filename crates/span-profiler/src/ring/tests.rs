use std::sync::atomic::AtomicUsize;

use super::*;

fn ring() -> &'static Ring {
    let slots: Vec<_> = std::iter::repeat_with(Slot::new).take(SLOTS).collect();
    let Ok(slots) = <Box<[Slot; SLOTS]>>::try_from(slots.into_boxed_slice()) else { unreachable!() };
    Box::leak(Box::new(Ring::over(Box::leak(slots))))
}

fn push(ring: &Ring, number: u64) {
    let id = u32::try_from(number % 1000).unwrap();
    let label = Label {
        name: NameId(id),
        root_name: NameId(id),
        span_id: number,
        root_span_id: number,
        trace_id: whole(number, number),
    };
    ring.push(1, number, Some(label), |frames| {
        for _ in 0..=number % 7 {
            frames.add(number);
        }
    });
}

fn check(sample: &RawSample) {
    let (number, label) = (sample.period, sample.label.unwrap());
    assert_eq!((label.span_id, label.root_span_id, label.trace_id), (number, number, whole(number, number)));
    assert_eq!(u64::from(label.name.0), number % 1000);
    assert_eq!(sample.stack, vec![number; usize::try_from(number % 7).unwrap() + 1]);
}

#[test]
fn samples_come_out_whole_and_in_order_over_many_rounds() {
    let (ring, mut sample, mut next) = (ring(), RawSample::empty(), 0);
    for number in 0..5 * SLOTS as u64 {
        push(ring, number);
        if number % 100 == 99 {
            ring.drain(&mut sample, |sample| {
                check(sample);
                assert_eq!(sample.period, next);
                next += 1;
            });
        }
    }
    assert_eq!(ring.lost(), 0);
    assert_eq!(next, 5 * SLOTS as u64 / 100 * 100);
}

#[test]
fn a_full_ring_loses_the_newest_and_counts_them() {
    let (ring, mut sample, mut seen) = (ring(), RawSample::empty(), Vec::new());
    (0..SLOTS as u64 + 10).for_each(|number| push(ring, number));
    ring.drain(&mut sample, |sample| seen.push(sample.period));
    assert_eq!(seen, (0..SLOTS as u64).collect::<Vec<_>>());
    assert_eq!(ring.lost(), 10);
    push(ring, 7);
    ring.drain(&mut sample, |sample| seen.push(sample.period));
    assert_eq!((seen.len(), ring.lost()), (SLOTS + 1, 10));
}

#[test]
fn a_stack_that_is_too_deep_is_cut() {
    let (ring, mut sample) = (ring(), RawSample::empty());
    ring.push(1, 1, None, |frames| {
        assert!((0..MAX_FRAMES as u64).all(|address| frames.add(address)));
        assert!(!frames.add(0));
        frames.truncate();
    });
    ring.push(1, 1, None, |frames| assert!(frames.add(1)));
    let mut seen = Vec::new();
    ring.drain(&mut sample, |sample| seen.push((sample.stack.len(), sample.truncated, sample.label)));
    assert_eq!(seen, [(MAX_FRAMES, true, None), (1, false, None)]);
}

#[test]
fn producers_on_many_threads_neither_tear_nor_lose_what_is_not_counted() {
    const EACH: u64 = 20_000;
    let (ring, running) = (ring(), AtomicUsize::new(4));
    let mut seen = 0;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let running = &running;
            scope.spawn(move || {
                (0..EACH).for_each(|number| push(ring, thread * EACH + number));
                running.fetch_sub(1, Ordering::Release);
            });
        }
        let mut sample = RawSample::empty();
        loop {
            let last = running.load(Ordering::Acquire) == 0;
            ring.drain(&mut sample, |sample| {
                check(sample);
                seen += 1;
            });
            if last {
                break;
            }
        }
        ring.drain(&mut sample, |_| seen += 1);
    });
    assert_eq!(seen + ring.lost(), 4 * EACH);
}
