//! When requests start: steps of constant rate.

use std::fmt;
use std::time::Duration;

use crate::config::duration;

/// Highest rate, per second: far above what one process can send, so it only catches slips.
const MAX_RATE: f64 = 100_000.0;

/// Longest step.
const MAX_STEP: Duration = Duration::from_secs(86_400);

/// Most steps of a profile.
const MAX_STEPS: usize = 100;

/// A time of constant rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Requests per second.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
}

/// Steps one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile(Vec<Step>);

impl Step {
    /// A step of `rate` requests per second for `duration`.
    ///
    /// # Errors
    /// When one of them is out of bounds; the text says what to write instead.
    pub fn new(rate: f64, duration: Duration) -> Result<Self, String> {
        if !(rate > 0.0 && rate <= MAX_RATE) {
            return Err(format!(
                "the rate {rate} is not above 0 and at most {MAX_RATE} per second: write for example 50"
            ));
        }
        if duration.is_zero() || duration > MAX_STEP {
            return Err(format!("the duration {duration:?} is not above 0s and at most 24h: write for example 30s"));
        }
        Ok(Self { rate, duration })
    }
}

impl Profile {
    /// One rate all the time.
    #[must_use]
    pub fn constant(step: Step) -> Self {
        Self(vec![step])
    }

    /// Reads `10x10s,50x20s`: 10 per second for 10 seconds, then 50 per second for 20.
    ///
    /// # Errors
    /// When the text has another form or a number is out of bounds; the text says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no list of at most {MAX_STEPS} steps: write for example 10x10s,50x20s");
        let step = |part: &str| {
            let (rate, time) = part.trim().split_once('x').ok_or_else(form)?;
            Step::new(rate.parse().map_err(|_| form())?, duration::parse(time).ok_or_else(form)?)
        };
        let steps: Vec<Step> = text.split(',').map(step).collect::<Result<_, String>>()?;
        if steps.len() > MAX_STEPS { Err(form()) } else { Ok(Self(steps)) }
    }

    /// From the first intended start to the end of the last step.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0.iter().map(|step| step.duration).sum()
    }

    /// The intended starts, counted from the begin of the load.
    pub fn starts(&self) -> impl Iterator<Item = Duration> {
        let mut begin = Duration::ZERO;
        self.0.iter().flat_map(move |step| {
            let from = begin;
            begin += step.duration;
            // From the step's begin each time, and not from the last start: rounding does not add up.
            let starts = (0_u32..).map(|index| Duration::from_secs_f64(f64::from(index) / step.rate));
            starts.take_while(|start| *start < step.duration).map(move |start| from + start)
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Step { rate, duration: time }) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{rate}x{}", duration::format(*time))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_follow_the_steps_without_gap_or_overlap() {
        let profile = Profile::parse("2x1s,4x500ms").unwrap();
        let millis: Vec<_> = profile.starts().map(|start| start.as_millis()).collect();
        assert_eq!(millis, [0, 500, 1000, 1250]);
        assert_eq!(profile.duration(), Duration::from_millis(1500));
        assert_eq!(profile.to_string(), "2x1s,4x500ms");
    }

    #[test]
    fn rounding_does_not_add_up() {
        let profile = Profile::parse("3x100s").unwrap();
        assert_eq!(profile.starts().count(), 300);
        let late = profile.starts().nth(299).unwrap();
        assert_eq!(late.as_micros(), 99_666_666);
        assert_eq!(Profile::parse("0.5x10s").unwrap().starts().count(), 5);
    }

    #[test]
    fn a_bad_profile_is_refused_with_the_fix() {
        for bad in [
            "", "10", "10x", "x10s", "10x10", "-1x10s", "0x10s", "NaNx1s", "infx1s", "1e9x1s", "10x0s", "1x25h",
            "1x1s,,",
        ] {
            let error = Profile::parse(bad).unwrap_err();
            assert!(error.contains("write for example"), "{bad:?}: {error}");
        }
        assert!(Profile::parse(&vec!["1x1s"; 101].join(",")).is_err());
    }
}
