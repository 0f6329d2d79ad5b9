//! What can be chosen when a scenario starts, and within which bounds.

use std::time::Duration;

use crate::config::duration;

/// How a value is counted and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A duration such as `1m30s`, counted in milliseconds.
    Time,
    /// A whole number of these.
    Of(&'static str),
}

/// One thing that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub about: &'static str,
    /// How it is counted.
    pub unit: Unit,
    /// The value where nothing was chosen.
    pub default: u64,
    /// The smallest value.
    pub min: u64,
    /// The largest value: what a machine that does other things too can bear.
    pub max: u64,
}

impl Parameter {
    /// The time after which a scenario stops by itself.
    pub const DURATION: Self = Self {
        name: "duration",
        about: "time after which it stops by itself",
        unit: Unit::Time,
        default: 60_000,
        min: 1_000,
        max: 3_600_000,
    };

    /// The same parameter with another default.
    #[must_use]
    pub const fn by_default(self, default: u64) -> Self {
        Self { default, ..self }
    }

    /// Reads a value; `None` when it has another form or is out of its bounds.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<u64> {
        let value = match self.unit {
            Unit::Time => u64::try_from(duration::parse(text)?.as_millis()).ok()?,
            Unit::Of(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            Unit::Of(_) => return None,
        };
        (self.min..=self.max).contains(&value).then_some(value)
    }

    /// Writes a value in the form that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn write(&self, value: u64) -> String {
        match self.unit {
            Unit::Time => duration::format(Duration::from_millis(value)),
            Unit::Of(_) => value.to_string(),
        }
    }

    /// What [`parse`](Self::parse) accepts, in words.
    #[must_use]
    pub fn bound(&self) -> String {
        let (min, max) = (self.write(self.min), self.write(self.max));
        match self.unit {
            Unit::Time => format!("a duration from {min} to {max}, such as {}", self.write(self.default)),
            Unit::Of(unit) => format!("a whole number of {unit} from {min} to {max}"),
        }
    }
}

/// What was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, u64)>);

impl Values {
    /// Chooses a value that [`Parameter::parse`] has read.
    pub fn set(&mut self, parameter: &Parameter, value: u64) {
        self.0.retain(|(name, _)| *name != parameter.name);
        self.0.push((parameter.name, value));
    }

    /// The value that was chosen, or the default.
    #[must_use]
    pub fn get(&self, parameter: &Parameter) -> u64 {
        self.0.iter().find(|(name, _)| *name == parameter.name).map_or(parameter.default, |(_, value)| *value)
    }

    /// The same, of a parameter that is a duration.
    #[must_use]
    pub fn duration(&self, parameter: &Parameter) -> Duration {
        Duration::from_millis(self.get(parameter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: Parameter =
        Parameter { name: "workers", about: "", unit: Unit::Of("workers"), default: 5, min: 1, max: 9 };

    #[test]
    fn values_have_bounds_and_no_signs() {
        assert_eq!(["1", "09", "9"].map(|text| WORKERS.parse(text)), [Some(1), Some(9), Some(9)]);
        for bad in ["", "0", "10", "-1", "+1", "1.0", "1e0", " 1", "five", "99999999999999999999"] {
            assert_eq!(WORKERS.parse(bad), None, "{bad:?}");
        }
        let duration = Parameter::DURATION;
        assert_eq!(
            ["1s", "1m30s", "1h"].map(|text| duration.parse(text)),
            [Some(1_000), Some(90_000), Some(3_600_000)]
        );
        for bad in ["", "60", "0s", "999ms", "61m", "-1s", "1.5s", "99999999999999h"] {
            assert_eq!(duration.parse(bad), None, "{bad:?}");
        }
        assert_eq!(WORKERS.bound(), "a whole number of workers from 1 to 9");
        assert_eq!(duration.bound(), "a duration from 1s to 1h, such as 1m");
    }

    #[test]
    fn what_was_not_chosen_is_the_default() {
        let mut values = Values::default();
        assert_eq!(values.get(&WORKERS), 5);
        values.set(&WORKERS, 7);
        values.set(&WORKERS, 8);
        assert_eq!(values.get(&WORKERS), 8);
        assert_eq!(values.duration(&Parameter::DURATION.by_default(2_000)), Duration::from_secs(2));
    }
}
