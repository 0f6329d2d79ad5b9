//! Shows a run on the terminal while it runs.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::run::Run;
use super::tally::Tally;

/// Time between two pictures: fast enough to look alive, slow enough to read.
const REFRESH: Duration = Duration::from_millis(250);

/// Draws on stderr until the future is dropped; the bar goes away with it.
pub async fn show(run: &Run) -> Infallible {
    let begin = Instant::now();
    let total = run.plan().profile.duration();
    let Clear(bar) = &Clear(ProgressBar::with_draw_target(Some(whole_millis(total)), ProgressDrawTarget::stderr()));
    bar.set_style(style());
    let mut ticks = tokio::time::interval(REFRESH);
    let (mut before, mut at) = (0, begin);
    loop {
        ticks.tick().await;
        let counts = run.counts();
        let now = Instant::now();
        let ended = (counts.all.requests - before) as f64;
        let seconds = now.duration_since(at).as_secs_f64();
        (before, at) = (counts.all.requests, now);
        bar.set_position(whole_millis(begin.elapsed()));
        bar.set_message(line(ended / seconds.max(0.001), run.unanswered(), &counts.all));
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}").expect("the template is one of the library's form")
}

/// The numbers beside the bar.
fn line(rate: f64, unanswered: usize, all: &Tally) -> String {
    let latency =
        |share| all.latency(share).map_or("-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
    let (p50, p99, failed) = (latency(0.5), latency(0.99), all.failed());
    format!("{rate:.0}/s  in flight {unanswered}  p50 {p50}  p99 {p99}  errors {failed}")
}

/// Takes the bar off the terminal, also when the view is cancelled.
#[derive(Debug)]
pub struct Clear(pub ProgressBar);

impl Drop for Clear {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::Outcome;

    #[test]
    fn the_line_has_the_numbers_before_and_after_the_first_answer() {
        let mut all = Tally::default();
        assert_eq!(line(0.0, 2, &all), "0/s  in flight 2  p50 -  p99 -  errors 0");
        all.add(Outcome::Status(500), Duration::from_millis(20));
        assert_eq!(line(49.6, 1, &all), "50/s  in flight 1  p50 20.0 ms  p99 20.0 ms  errors 1");
    }
}
