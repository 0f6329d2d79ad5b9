//! Between which values a sample lies, as documents and tables write it.

use std::fmt;
use std::str::FromStr;

/// From the first to the second value, both included; `1..` and `..1` have one end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds(f64, f64);

impl Bounds {
    /// Whether the value is a number and lies between them.
    pub(super) fn hold(self, value: f64) -> bool {
        value.is_finite() && (self.0..=self.1).contains(&value)
    }
}

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or_else(|| format!("no `..` in {text:?}"))?;
        let end = |text: &str, open: f64| match text {
            "" => Ok(open),
            _ => text.parse().map_err(|error| format!("{text:?}: {error}")),
        };
        let bounds = Self(end(from, f64::NEG_INFINITY)?, end(to, f64::INFINITY)?);
        if bounds.0 <= bounds.1 && (bounds.0.is_finite() || bounds.1.is_finite()) {
            Ok(bounds)
        } else {
            Err(format!("{text:?} holds for everything or nothing"))
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.0, self.1)
    }
}

#[test]
fn bounds_have_an_end_and_hold_numbers_only() {
    let bounds: Bounds = "0..1e3".parse().unwrap();
    assert!(bounds.hold(0.0) && bounds.hold(1000.0) && !bounds.hold(-0.1) && !bounds.hold(1000.1));
    let above: Bounds = "0..".parse().unwrap();
    assert!(above.hold(1e300) && ![f64::NAN, f64::INFINITY].into_iter().any(|value| above.hold(value)));
    assert!(["", "1", "..", "2..1", "a..b"].iter().all(|text| text.parse::<Bounds>().is_err()));
}
