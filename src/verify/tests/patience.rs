//! Young exemplars: asked for again until the sampling delay is over, and not a moment less. On a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::verify::ask::AskError;
use crate::verify::check::Outcome;
use crate::verify::prometheus::{Exemplar, Labels};
use crate::verify::report::Report;
use crate::verify::resolve::{CONCURRENT_ASKS, FAILED_ASKS, Verdict, resolve};
use crate::verify::seconds;
use crate::verify::store::TraceStore;
use crate::verify::trace::{Span, Trace, span_id};

use super::PATIENCE;

const SPAN: &str = "b7ad6b7169203331";

/// Holds every trace from its `arrives`-th question on, or fails; remembers when it was asked and how many asked at once.
struct LateStore {
    arrives: usize,
    fails: bool,
    asked: Mutex<Vec<Instant>>,
    asking: AtomicUsize,
    most: AtomicUsize,
}

impl LateStore {
    fn new(arrives: usize) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self { arrives, fails: false, asked, asking: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }
}

impl TraceStore for LateStore {
    async fn trace(&self, _: &str) -> Result<Option<Trace>, AskError> {
        let asks = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Instant::now());
            asked.len()
        };
        self.most.fetch_max(self.asking.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.asking.fetch_sub(1, Ordering::SeqCst);
        if self.fails {
            return Err(AskError::NoStore("it is down".to_owned()));
        }
        let span = Span { marked: true, duration: Duration::from_secs(1) };
        Ok((asks >= self.arrives).then(|| Trace { spans: [(span_id(SPAN).unwrap(), span)].into() }))
    }
}

/// An exemplar of this age, in trace number `trace`.
fn exemplar(trace: usize, age: Duration) -> Exemplar {
    Exemplar {
        metric: "section_duration_seconds".to_owned(),
        series: Labels::new(),
        bucket: None,
        value: 0.5,
        timestamp: seconds(SystemTime::now() - age),
        trace_id: format!("{:032x}", trace + 1),
        span_id: SPAN.to_owned(),
    }
}

async fn judge(store: &Arc<LateStore>, exemplar: Exemplar) -> (Verdict, Duration) {
    let start = Instant::now();
    let mut verdicts = resolve(store, vec![exemplar], PATIENCE).await;
    assert_eq!(verdicts.len(), 1);
    (verdicts.remove(0), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_young_exemplar_may_resolve_late() {
    let (verdict, waited) = judge(&LateStore::new(3), exemplar(0, Duration::ZERO)).await;
    assert_eq!((verdict.outcome, verdict.asks), (Outcome::Resolved, 3));
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_young_exemplar_is_given_up_when_the_delay_is_over_and_not_before() {
    let store = LateStore::new(usize::MAX);
    let (verdict, waited) = judge(&store, exemplar(0, Duration::from_secs(10))).await;
    assert_eq!(verdict.outcome, Outcome::NotFound);
    // 30 s of decision and 10 s of margin, of which 10 s were over; real time that passes in between comes off.
    assert!((29.0..=30.1).contains(&waited.as_secs_f64()), "{waited:?}");
    let asked = store.asked.lock().unwrap();
    let pauses = asked.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(pauses.max().unwrap() < Duration::from_millis(5_100), "{asked:?}");
    assert!(asked.len() < 15, "asked {} times in 30 s", asked.len());
}

#[tokio::test(start_paused = true)]
async fn an_old_exemplar_is_asked_for_once() {
    let (verdict, waited) = judge(&LateStore::new(2), exemplar(0, Duration::from_secs(41))).await;
    assert_eq!((verdict.outcome, verdict.asks), (Outcome::NotFound, 1));
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_three_times_about_an_old_exemplar() {
    let mut store = LateStore::new(0);
    Arc::get_mut(&mut store).unwrap().fails = true;
    let (verdict, _) = judge(&store, exemplar(0, Duration::from_secs(60))).await;
    assert_eq!((verdict.outcome, verdict.asks), (Outcome::AskFailed, FAILED_ASKS));
    assert!(verdict.error.as_ref().unwrap().contains("it is down"));
    let report = Report::new("a store".to_owned(), "", (0.0, 0.0), Vec::new(), vec![verdict]);
    assert_eq!((report.ask_failed, report.dangling, report.exit_code()), (1, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_clock_ahead_of_ours_does_not_make_the_wait_longer() {
    let mut from_the_future = exemplar(0, Duration::ZERO);
    from_the_future.timestamp += 86_400.0;
    let (verdict, waited) = judge(&LateStore::new(usize::MAX), from_the_future).await;
    assert_eq!(verdict.outcome, Outcome::NotFound);
    assert!(waited <= Duration::from_millis(40_100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_store_gets_eight_questions_at_a_time() {
    let store = LateStore::new(0);
    let old = Duration::from_secs(60);
    let verdicts = resolve(&store, (0..100).map(|trace| exemplar(trace, old)).collect(), PATIENCE).await;
    assert!(verdicts.iter().all(|verdict| verdict.outcome == Outcome::Resolved));
    assert_eq!((verdicts.len(), store.most.load(Ordering::SeqCst)), (100, CONCURRENT_ASKS));
}

#[tokio::test(start_paused = true)]
async fn exemplars_of_one_trace_are_one_question() {
    let store = LateStore::new(0);
    let verdicts = resolve(&store, vec![exemplar(7, Duration::ZERO); 5], PATIENCE).await;
    assert_eq!((verdicts.len(), store.asked.lock().unwrap().len()), (5, 1));
}
