//! The samples of the last minutes, so that a trace seen a moment ago has its profile without profiling again.
//!
//! Time is cut into segments that share nothing: forgetting the oldest frees all of it at once, at no cost for
//! the others. A segment that takes more than its part of the memory is closed early.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::ring::RawSample;
use crate::samples::{SampleSet, Sealed, Seen};

/// How many segments the window has; the answer to `since` is as exact as one of them.
const SEGMENTS: u32 = 120;

/// The open segment may take this part of the memory: sealing it makes a copy, and its tables double when they grow.
const OPEN_PART: usize = 8;

/// Keeps samples for a while.
#[derive(Debug)]
pub(crate) struct Recorder {
    window: Duration,
    limit: usize,
    open: SampleSet,
    since: Moment,
    /// The oldest first.
    segments: VecDeque<Segment>,
    /// The sum over `segments`.
    bytes: usize,
}

#[derive(Debug)]
struct Segment {
    samples: Arc<Sealed>,
    from: Moment,
    until: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    instant: Instant,
    time: SystemTime,
}

impl Moment {
    fn at(instant: Instant) -> Self {
        let now = Instant::now();
        let passed = now.saturating_duration_since(instant);
        let time = SystemTime::now();
        Self { instant, time: time.checked_sub(passed).unwrap_or(time) }
    }
}

impl Recorder {
    /// Keeps what was added in the last `window`, in at most `limit` bytes.
    pub(crate) fn new(window: Duration, limit: usize, now: Instant) -> Self {
        let since = Moment::at(now);
        Self { window, limit, open: SampleSet::default(), since, segments: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn add(&mut self, sample: &RawSample, now: Instant) {
        self.advance(now);
        self.open.add(sample);
        if self.open.bytes() > self.limit / OPEN_PART {
            self.seal(now);
        }
        self.shrink();
    }

    /// Closes the open segment when its time is over, and forgets what is older than the window.
    pub(crate) fn advance(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since.instant) >= self.window / SEGMENTS {
            self.seal(now);
        }
        while self.segments.front().is_some_and(|first| now.saturating_duration_since(first.until) >= self.window) {
            self.forget();
        }
    }

    fn seal(&mut self, now: Instant) {
        let from = std::mem::replace(&mut self.since, Moment::at(now));
        let open = std::mem::take(&mut self.open);
        // It may be closed late, but nothing was added after its time.
        let until = now.min(from.instant + self.window / SEGMENTS);
        if !open.is_empty() {
            let samples = open.seal();
            self.bytes += samples.bytes();
            self.segments.push_back(Segment { samples: Arc::new(samples), from, until });
        }
    }

    fn shrink(&mut self) {
        // The open one once more for the copy while it is sealed, and twice for tables that double while they grow.
        while self.bytes() + 2 * self.open.bytes() > self.limit && !self.segments.is_empty() {
            self.forget();
        }
    }

    fn forget(&mut self) {
        if let Some(first) = self.segments.pop_front() {
            self.bytes -= first.samples.bytes();
        }
    }

    /// What was added in the last `since` and, because segments are not divided, shortly before; or in all of the window.
    /// Only the open segment is copied.
    pub(crate) fn snapshot(&self, since: Option<Duration>, now: Instant) -> Snapshot {
        let wanted = |one: &&Segment| since.is_none_or(|since| now.saturating_duration_since(one.until) < since);
        let from = self.segments.iter().find(wanted).map_or(self.since, |first| first.from);
        let (_, all) = self.oldest(now);
        // Nothing was seen in a gap between segments, which is to be seen too.
        let covered = now.saturating_duration_since(from.instant).max(since.map_or(all, |since| since.min(all)));
        let mut segments: Vec<_> = self.segments.iter().filter(wanted).map(|one| Arc::clone(&one.samples)).collect();
        segments.push(Arc::new(self.open.clone().seal()));
        Snapshot { segments, covered }
    }

    /// Since when everything is kept, and how long ago that is.
    pub(crate) fn oldest(&self, now: Instant) -> (SystemTime, Duration) {
        let oldest = self.segments.front().map_or(self.since, |first| first.from);
        (oldest.time, now.saturating_duration_since(oldest.instant))
    }

    /// Memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.open.bytes() + self.segments.capacity() * size_of::<Segment>()
    }

    /// The most memory that is used, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

/// What a recorder held at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    segments: Vec<Arc<Sealed>>,
    /// The time from the first sample that could be in it to that moment.
    pub(crate) covered: Duration,
}

impl Snapshot {
    /// Every sum; a stack comes once for each segment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.segments.iter().flat_map(|one| one.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Label;
    use crate::sys;

    const WINDOW: Duration = Duration::from_secs(600);

    fn sample(number: u64) -> RawSample {
        let label = Label { span_id: number, trace_id: number.into(), ..Label::default() };
        let stack = (0..60).map(|depth| 10_000 + number * 100 + depth).collect();
        RawSample { count: 1, period: 10, label: Some(label), stack, truncated: false }
    }

    fn spans(recorder: &Recorder, since: Option<Duration>, now: Instant) -> Vec<u64> {
        let mut spans: Vec<_> = recorder.snapshot(since, now).iter().map(|seen| seen.label.unwrap().span_id).collect();
        spans.sort_unstable();
        spans
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut recorder = Recorder::new(WINDOW, 16 << 20, start);
        for minute in 0..20 {
            recorder.add(&sample(minute), at(minute * 60));
        }
        let now = at(19 * 60);
        assert_eq!(spans(&recorder, None, now), (9..20).collect::<Vec<_>>());
        assert_eq!(spans(&recorder, Some(Duration::from_secs(130)), now), [17, 18, 19]);
        let covered = |seconds| recorder.snapshot(Some(Duration::from_secs(seconds)), now).covered.as_secs();
        // From the beginning of the first segment in it, also over a gap.
        assert_eq!((covered(61), covered(100), covered(116)), (61, 100, 120));
        let (_, ago) = recorder.oldest(now);
        assert!(ago >= WINDOW && ago <= WINDOW + Duration::from_secs(61), "{ago:?}");
        // Also when nothing comes any more.
        recorder.advance(at(3600));
        assert!(spans(&recorder, None, at(3600)).is_empty());
        assert_eq!(recorder.bytes, 0);
    }

    #[test]
    fn memory_stays_below_its_limit_and_the_newest_is_kept() {
        let (start, limit) = (Instant::now(), 2 << 20);
        let mut recorder = Recorder::new(WINDOW, limit, start);
        let peak = sys::counting::peak_of(|| {
            for number in 0..20_000 {
                // Nothing in common with any other sample, 100 a second.
                recorder.add(&sample(number), start + Duration::from_millis(10 * number));
                assert!(recorder.bytes() <= limit, "{} at {number}", recorder.bytes());
            }
        });
        assert!(peak <= limit && peak > limit / 2, "the allocator gave {peak}");
        let now = start + Duration::from_secs(200);
        let kept = spans(&recorder, None, now);
        assert!(kept.len() > 500, "{}", kept.len());
        assert_eq!(kept, (20_000 - kept.len() as u64..20_000).collect::<Vec<_>>());
        let (_, ago) = recorder.oldest(now);
        assert!(ago < Duration::from_secs(150), "{ago:?}");
    }
}
