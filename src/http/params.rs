//! Reads a query string and finds everything that is wrong with it at once.

use crate::config::percent;
use crate::error::short;

use super::problem::ParameterFault;

/// Longer values are shortened in answers.
const SHOWN_CHARS: usize = 64;

/// More parameters than any route has are not worth naming one by one.
const MAX_FAULTS: usize = 16;

/// The parameters of one request.
#[derive(Debug)]
pub struct Params<'a> {
    given: Vec<(String, String)>,
    known: &'a [&'static str],
    faults: Vec<ParameterFault>,
}

impl<'a> Params<'a> {
    /// Splits and decodes a query; `known` are the names that the route has.
    #[must_use]
    pub fn new(query: &str, known: &'a [&'static str]) -> Self {
        let mut params = Self { given: Vec::new(), known, faults: Vec::new() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A form writes a space as a plus sign.
            let decode = |text: &str| percent::decode(&text.replace('+', " "));
            match (decode(name), decode(value)) {
                (Ok(name), Ok(value)) => params.take(name, value),
                (Err(rule), _) => params.fault(name, value, &format!("the name {rule}")),
                (_, Err(rule)) => params.fault(name, value, &format!("the value {rule}")),
            }
        }
        params
    }

    fn take(&mut self, name: String, value: String) {
        if !self.known.contains(&name.as_str()) {
            let bound = match self.known {
                [] => "unknown parameter: there are none here".to_owned(),
                known => format!("unknown parameter; known are {}", known.join(", ")),
            };
            self.fault(&name, &value, &bound);
        } else if self.given.iter().any(|(given, _)| *given == name) {
            self.fault(&name, &value, "given more than once");
        } else {
            self.given.push((name, value));
        }
    }

    /// Notes what is wrong with a parameter.
    pub fn fault(&mut self, name: &str, value: &str, bound: &str) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(ParameterFault {
                parameter: short(name, SHOWN_CHARS),
                value: short(value, SHOWN_CHARS),
                bound: bound.to_owned(),
            });
        }
    }

    /// What was given for a parameter.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, or `default`; `bound` says what `parse` accepts.
    pub fn get<T>(&mut self, name: &str, default: T, bound: &str, parse: impl FnOnce(&str) -> Option<T>) -> T {
        let Some(value) = self.given(name).map(str::to_owned) else { return default };
        parse(&value).unwrap_or_else(|| {
            self.fault(name, &value, bound);
            default
        })
    }

    /// The end of reading.
    ///
    /// # Errors
    /// All faults that were found.
    pub fn finish(self) -> Result<(), Vec<ParameterFault>> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }
}

/// Whole numbers: digits only, so that signs, exponents and `inf` are text.
pub fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Numbers with an optional fraction: digits and at most one point between them.
pub fn decimal(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(query: &str) -> Vec<(String, String)> {
        let mut params = Params::new(query, &["n", "x"]);
        params.get("n", 0, "0 to 9", |text| whole(text).filter(|n| *n <= 9));
        params.get("x", 0.0, "a number", decimal);
        let faults = params.finish().err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.parameter, fault.bound)).collect()
    }

    #[test]
    fn good_queries_pass() {
        for good in ["", "n=5", "n=5&x=1.5", "&&n=1&", "%6e=9", "x=0"] {
            assert_eq!(faults(good), [], "{good}");
        }
    }

    #[test]
    fn everything_wrong_is_found_at_once() {
        let found = faults("n=-1&x=NaN&y=1&n=2&x%zz=1");
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["y", "n", "x%zz", "n", "x"]);
    }

    #[test]
    fn numbers_are_strict() {
        for bad in ["", "+1", "-0", "1e3", "NaN", "inf", "0x10", "1_000", " 1", "1.", ".5", "18446744073709551616", "٣"]
        {
            assert_eq!(whole(bad), None, "{bad}");
            assert!(bad == "18446744073709551616" || decimal(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_answer_stays_small() {
        let long = "z".repeat(10_000);
        let query = (0..100).map(|i| format!("{long}{i}={long}")).collect::<Vec<_>>().join("&");
        let mut params = Params::new(&query, &["n"]);
        params.get("n", 0, "", whole);
        let faults = params.finish().unwrap_err();
        assert_eq!(faults.len(), MAX_FAULTS);
        assert!(faults[0].value.chars().count() == SHOWN_CHARS + 1);
    }

    proptest! {
        #[test]
        fn fuzz_queries(query in prop_oneof!["([nxy%]=?[0-9.%+-]{0,5}&?){0,8}", ".*"]) {
            let mut params = Params::new(&query, &["n", "x"]);
            let before = params.faults.len();
            let n = params.get("n", None, "a number", |text| whole(text).map(Some));
            let faults = params.faults.len();
            prop_assert!(faults >= before && faults <= MAX_FAULTS);
            prop_assert!(n.is_none() || query.contains('n') || query.contains('%'));
        }

        #[test]
        fn fuzz_numbers(text in prop_oneof!["[0-9]{0,25}(\\.[0-9]{0,30})?", "[-+0-9.eE_xinfNa ]{0,12}", ".*"]) {
            prop_assert_eq!(whole(&text), text.parse().ok().filter(|_| !text.starts_with('+')));
            if let Some(number) = decimal(&text) {
                prop_assert!(number.is_finite() && number >= 0.0 && !number.is_sign_negative(), "{number}");
            }
        }
    }
}
