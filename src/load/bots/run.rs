//! Has all players play.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Plan;
use super::bot::{Bot, PlayerReport, Turn};
use crate::load::tally::{Outcome, Tally};

/// Players who connect at the same time: more would wait in the service's backlog.
const CONNECTING: usize = 32;

/// Quiet times after which what has not come is lost: a busy service may be silent for one.
const LOST_AFTER: u32 = 5;

/// What the players share, and what is known while they play.
#[derive(Debug)]
pub struct Shared {
    pub(super) plan: Plan,
    /// Host and port.
    pub(super) address: String,
    stopped: AtomicBool,
    stop: Notify,
    playing: AtomicUsize,
    said: AtomicU64,
    delivered: AtomicU64,
    latency: Mutex<Tally>,
}

impl Shared {
    fn new(plan: Plan) -> Self {
        let address = plan.target.authority();
        Self {
            plan,
            address,
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
            playing: AtomicUsize::new(0),
            said: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            latency: Mutex::default(),
        }
    }

    /// A player says something, which is due to all readers.
    pub(super) fn say(&self) {
        self.said.fetch_add(1, Ordering::Relaxed);
    }

    /// A broadcast came; `intended` is when it was meant to be said.
    pub(super) fn delivered(&self, intended: Option<Instant>) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        if let Some(intended) = intended {
            // What came is what was answered.
            self.lock().add(Outcome::Status(200), intended.elapsed());
        }
    }

    /// Whether the players were told to stop before the end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Resolves when they are.
    pub(super) async fn stop(&self) {
        let told = self.stop.notified();
        if !self.stopped() {
            told.await;
        }
    }

    /// Resolves at the end of the game, or when the players are told to stop.
    pub(super) async fn end(&self, end: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(end) => {}
            () = self.stop() => {}
        }
    }

    /// Resolves when all that was said has come and no player got anything for this long, so that what was said last is
    /// due to all; or when that takes too long, because something is lost or others speak in the same room.
    pub(super) async fn settle(&self, quiet: Duration) {
        let settled = async {
            let (mut before, mut rounds) = (self.deliveries(), 0);
            while rounds < if self.complete() { 1 } else { LOST_AFTER } {
                tokio::time::sleep(quiet).await;
                let now = self.deliveries();
                rounds = if now == before { rounds + 1 } else { 0 };
                before = now;
            }
        };
        let _ = timeout(self.plan.timeout, settled).await;
    }

    /// Whether as much came as was said.
    fn complete(&self) -> bool {
        self.deliveries() >= self.said.load(Ordering::Relaxed) * self.plan.readers()
    }

    /// Players in the room.
    #[must_use]
    pub fn playing(&self) -> usize {
        self.playing.load(Ordering::Relaxed)
    }

    /// Broadcasts that came, to all players together.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// The latencies so far.
    #[must_use]
    pub fn latency(&self) -> Tally {
        self.lock().clone()
    }

    /// What is played.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the players told.
#[derive(Debug, Clone, Default)]
pub struct PlayerReports {
    /// Those who read.
    pub readers: Vec<PlayerReport>,
    /// Those who did not.
    pub slow: Vec<PlayerReport>,
    /// From the begin of the game until the last has left.
    pub elapsed: Duration,
}

/// Players of a plan.
#[derive(Debug, Clone)]
pub struct Run(Arc<Shared>);

impl Run {
    /// Prepares the players.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self(Arc::new(Shared::new(plan)))
    }

    /// What is known while they play.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.0
    }

    /// Has all players come, play and leave. Once `stop` resolves they leave early.
    pub async fn play(&self, stop: impl Future<Output = ()>) -> PlayerReports {
        let players = self.players();
        tokio::pin!(stop, players);
        tokio::select! {
            reports = &mut players => return reports,
            () = stop => {}
        }
        self.0.stopped.store(true, Ordering::Relaxed);
        self.0.stop.notify_waiters();
        players.await
    }

    async fn players(&self) -> PlayerReports {
        let (total, slow) = (usize::from(self.0.plan.players), usize::from(self.0.plan.slow));
        let connecting = Arc::new(Semaphore::new(CONNECTING));
        let come = Arc::new(watch::Sender::new(0));
        let began = watch::Sender::new(None);
        let left = Arc::new(watch::Sender::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..total {
            let (run, connecting, come, left) =
                (self.clone(), Arc::clone(&connecting), Arc::clone(&come), Arc::clone(&left));
            let (mut begin, is_slow) = (began.subscribe(), number < slow);
            tasks.spawn(async move {
                let place = connecting.acquire().await;
                let joined = Bot::join(&run.0, is_slow).await;
                drop(place);
                come.send_modify(|come| *come += 1);
                let report = match joined {
                    Ok(bot) => {
                        run.0.playing.fetch_add(1, Ordering::Relaxed);
                        let report = run.one(bot, number, &mut begin, &left).await;
                        run.0.playing.fetch_sub(1, Ordering::Relaxed);
                        report
                    }
                    Err(report) => report,
                };
                if !is_slow {
                    left.send_modify(|left| *left += 1);
                }
                (is_slow, report)
            });
        }
        // Nobody speaks before all are there; the senders live until the end.
        let _ = come.subscribe().wait_for(|come| *come == total).await;
        let begin = Instant::now();
        began.send_replace(Some(begin));
        let mut reports = PlayerReports::default();
        while let Some(ended) = tasks.join_next().await {
            let (is_slow, report) = ended.expect("a player does not panic");
            if is_slow { reports.slow.push(report) } else { reports.readers.push(report) }
        }
        reports.elapsed = begin.elapsed();
        reports
    }

    async fn one(
        &self,
        bot: Bot<'_>,
        number: usize,
        began: &mut watch::Receiver<Option<Instant>>,
        left: &watch::Sender<usize>,
    ) -> PlayerReport {
        let slow = usize::from(self.0.plan.slow);
        let readers = usize::from(self.0.plan.players) - slow;
        let begin = began.wait_for(Option::is_some).await.ok().and_then(|begin| *begin);
        let begin = begin.unwrap_or_else(Instant::now);
        if number < slow {
            let others_left = async {
                let _ = left.subscribe().wait_for(|left| *left == readers).await;
            };
            return bot.stall(others_left).await;
        }
        let apart = |messages: usize| Duration::from_secs_f64(messages as f64 / self.0.plan.rate);
        bot.play(Turn { begin, offset: apart(number - slow), period: apart(readers) }).await
    }
}
