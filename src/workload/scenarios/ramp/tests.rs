use tokio::time::sleep;

use super::*;

const PLAN: Plan = Plan { workers: 100, duration: Duration::from_secs(60) };

#[test]
fn the_way_down_mirrors_the_way_up() {
    let at = |millis| PLAN.target(Duration::from_millis(millis));
    assert_eq!([0, 299, 300, 15_000, 29_999, 30_000].map(at), [0, 0, 1, 50, 99, 100]);
    assert_eq!([30_001, 45_000, 59_700, 59_701, 60_000, 90_000].map(at), [99, 50, 1, 0, 0, 0]);
    let phase = |millis| PLAN.phase(Duration::from_millis(millis)).name();
    assert_eq!([0, 29_999, 30_000, 60_000].map(phase), ["increasing", "increasing", "decreasing", "decreasing"]);
}

/// Looks between the ticks: what the last tick wanted is there.
#[tokio::test(start_paused = true)]
async fn workers_follow_the_target_within_one_tick_and_end() {
    let meter = Arc::new(Meter::default());
    let (_canceller, cancel) = Cancel::pair();
    let ramp = tokio::spawn({
        let meter = Arc::clone(&meter);
        async move { run(PLAN, &meter, cancel).await }
    });
    let started = Instant::now();
    sleep(TICK / 2).await;
    let mut peak = 0;
    while !ramp.is_finished() {
        let ticked = Duration::from_millis(100) * u32::try_from(started.elapsed().as_millis() / 100).unwrap();
        assert_eq!(meter.current().cast_unsigned(), PLAN.target(ticked), "after {ticked:?}");
        assert_eq!(meter.phase(), Some(PLAN.phase(ticked)), "after {ticked:?}");
        peak = peak.max(meter.current());
        sleep(TICK).await;
    }
    assert!(started.elapsed() < PLAN.duration + TICK, "{:?}", started.elapsed());
    assert_eq!((peak, meter.current(), meter.created()), (100, 0, 100));
    assert_eq!((meter.phase(), meter.target(), meter.rate.load(Ordering::Relaxed)), (None, 0, 0));
}

/// Ticks of a real clock are always a little late, and then the target is on its way down already.
#[tokio::test(start_paused = true)]
async fn the_peak_is_reached_also_between_two_ticks() {
    let plan = Plan { workers: 5, duration: Duration::from_millis(2_050) };
    assert_eq!([1_000, 1_100].map(|millis| plan.target(Duration::from_millis(millis))), [4, 4]);
    let meter = Arc::new(Meter::default());
    let (_canceller, cancel) = Cancel::pair();
    run(plan, &meter, cancel).await;
    assert_eq!((meter.created(), meter.current()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_is_cancelled_takes_all_workers_along() {
    let meter = Arc::new(Meter::default());
    let (canceller, cancel) = Cancel::pair();
    let ramp = tokio::spawn({
        let meter = Arc::clone(&meter);
        async move { run(PLAN, &meter, cancel).await }
    });
    sleep(Duration::from_secs(20)).await;
    assert!(meter.current() > 60 && meter.phase() == Some(Phase::Increasing));
    canceller.cancel();
    ramp.await.unwrap();
    assert_eq!((meter.current(), meter.phase()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_is_dropped_leaves_nothing_behind() {
    let meter = Arc::new(Meter::default());
    let (_canceller, cancel) = Cancel::pair();
    assert!(tokio::time::timeout(Duration::from_secs(20), run(PLAN, &meter, cancel)).await.is_err());
    sleep(TICK).await;
    assert_eq!((meter.current(), meter.phase(), meter.target()), (0, None, 0));
}
