use std::collections::HashMap;

use tokio::time::{interval, sleep};

use super::*;
use crate::config::Config;
use crate::telemetry;

const WORK: Duration = Duration::from_millis(50);

fn queue() -> (Queue, telemetry::Guard) {
    let env = HashMap::from([("HOME", "/"), ("OTEL_SDK_DISABLED", "true")]);
    let (config, _) = Config::read(&env, &[]).unwrap();
    let (telemetry, guard) = telemetry::start(&config).unwrap();
    (Queue::new(&telemetry.instruments), guard)
}

fn adds_up(counts: Counts, submitted: u64) {
    let inside = (counts.depth + counts.running) as u64;
    assert_eq!(counts.accepted, inside + counts.processed + counts.withdrawn, "{counts:?}");
    assert_eq!(submitted, counts.accepted + counts.rejected, "{counts:?}");
    assert!(counts.depth <= CAPACITY && counts.running <= WORKERS, "{counts:?}");
}

/// Twice as many tasks as four workers can do.
#[tokio::test(start_paused = true)]
async fn at_twice_its_capacity_it_rejects_what_it_cannot_do() {
    let (queue, _guard) = queue();
    let mut ticks = interval(WORK / 8);
    let (mut accepted, mut rejected) = (Vec::new(), 0);
    for sent in 1..=2_000 {
        ticks.tick().await;
        match queue.submit(WORK, SpanContext::NONE) {
            Ok(id) => accepted.push(id),
            Err(error) => {
                // A hundred tasks for four workers.
                assert_eq!(error, Rejected::Full { empty_in: 25 * WORK });
                rejected += 1;
            }
        }
        adds_up(queue.counts(), sent);
    }
    assert!(queue.counts().depth + 1 >= CAPACITY, "{:?}", queue.counts());
    // Half of them, and those that found room while it filled.
    assert!((850..=950).contains(&rejected), "{rejected}");
    assert!(accepted.iter().copied().eq(1..=accepted.len() as u64), "each has its own number");
    assert_eq!(queue.close(Duration::from_secs(60)).await, 0);
    let counts = queue.counts();
    assert_eq!((counts.depth, counts.running, counts.processed), (0, 0, accepted.len() as u64));
    adds_up(counts, 2_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_in_time_is_reported() {
    let (queue, _guard) = queue();
    for _ in 0..20 {
        queue.submit(Duration::from_secs(2), SpanContext::NONE).unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    // Four end after 2 s and four after 4 s, and twelve are left.
    assert_eq!(queue.close(Duration::from_secs(4)).await, 12);
    assert_eq!(queue.submit(WORK, SpanContext::NONE), Err(Rejected::Closed));
    adds_up(queue.counts(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_is_not_done_and_the_others_are() {
    let (queue, _guard) = queue();
    let send = || queue.submit(WORK, SpanContext::NONE).unwrap();
    let own: Vec<_> = (0..10).map(|_| (send(), send())).map(|(own, _)| own).collect();
    sleep(WORK / 2).await;
    // Four have begun, two of each sender.
    queue.withdraw(&own);
    adds_up(queue.counts(), 20);
    assert_eq!((queue.counts().withdrawn, queue.counts().depth), (8, 8));
    assert_eq!(queue.close(Duration::from_secs(60)).await, 0);
    assert_eq!(queue.counts().processed, 12);
    // Nothing is left that would still count for a sender who asks when to come again.
    assert_eq!(queue.lock().work, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_idle_when_all_that_waits_was_taken_back() {
    let (queue, _guard) = queue();
    let id = queue.submit(WORK, SpanContext::NONE).unwrap();
    // No worker has looked yet.
    queue.withdraw(&[id]);
    assert_eq!(queue.close(Duration::from_secs(60)).await, 0);
    assert_eq!((queue.counts().processed, queue.counts().withdrawn), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_nobody_used_closes_at_once() {
    let (queue, _guard) = queue();
    let before = tokio::time::Instant::now();
    assert_eq!(queue.close(Duration::from_secs(60)).await, 0);
    assert_eq!(before.elapsed(), Duration::ZERO);
}
