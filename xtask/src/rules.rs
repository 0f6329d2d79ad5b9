//! A copy of Prometheus's configuration and rules for tests that cannot wait for hours: shorter windows, waits and
//! intervals, other thresholds, and otherwise the same, which is checked.

pub mod mutants;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// What is different in a copy.
#[derive(Debug, Clone, Copy)]
pub struct Quick<'a> {
    /// In place of every window of a query.
    pub window: &'a str,
    /// In place of how long an alert waits.
    pub wait: &'a str,
    /// In place of how often is scraped and evaluated.
    pub every: &'a str,
    /// Alerts, each with the number in place of the first that its query compares with.
    pub thresholds: &'a [(&'a str, &'a str)],
}

/// Writes the copy of `prometheus` (a folder with `prometheus.yml` and `rules/`) into `copy`.
///
/// # Errors
/// If a file cannot be read or written, a threshold finds no alert, or the copy differs in anything but numbers.
pub fn copy(prometheus: &Path, copy: &Path, quick: Quick<'_>) -> anyhow::Result<()> {
    fs::create_dir_all(copy.join("rules")).with_context(|| format!("cannot create {}", copy.display()))?;
    let mut files = vec!["prometheus.yml".into()];
    for entry in fs::read_dir(prometheus.join("rules"))? {
        files.push(Path::new("rules").join(entry?.file_name()));
    }
    let mut left: Vec<&str> = quick.thresholds.iter().map(|(alert, _)| *alert).collect();
    for file in files {
        let text =
            fs::read_to_string(prometheus.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        let changed = quick.change(&text, &mut left);
        if skeleton(&changed) != skeleton(&text) {
            bail!("the copy of {} differs in more than numbers", file.display());
        }
        fs::write(copy.join(&file), changed).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !left.is_empty() {
        bail!("no query to give another threshold: {}", left.join(", "));
    }
    Ok(())
}

impl Quick<'_> {
    /// `left` loses each alert whose threshold was changed.
    fn change(&self, text: &str, left: &mut Vec<&str>) -> String {
        let mut changed = String::new();
        let mut threshold: Option<&str> = None;
        for line in text.split_inclusive('\n') {
            if let Some((_, alert)) = line.split_once("- alert: ") {
                let found = self.thresholds.iter().find(|(name, _)| *name == alert.trim());
                threshold = found.map(|(_, number)| *number);
            }
            let comparing = threshold.is_some() && !line.trim_start().starts_with('#');
            changed += &replace(line, |place| match place {
                Place::Window => Some(self.window),
                Place::Wait => Some(self.wait),
                Place::Interval => Some(self.every),
                Place::Threshold if comparing => threshold.take(),
                Place::Threshold => None,
            });
            if comparing && threshold.is_none() {
                left.retain(|alert| !changed.rsplit("- alert: ").next().is_some_and(|block| block.starts_with(alert)));
            }
        }
        changed
    }
}

/// Where a number stands that a copy may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Window,
    Wait,
    Interval,
    Threshold,
}

/// What stands before such a number.
const PLACES: [(&str, Place); 8] = [
    ("[", Place::Window),
    ("offset ", Place::Window),
    (" for: ", Place::Wait),
    ("scrape_interval: ", Place::Interval),
    ("evaluation_interval: ", Place::Interval),
    ("> ", Place::Threshold),
    (">= ", Place::Threshold),
    ("< ", Place::Threshold),
];

/// The text with every such number gone.
fn skeleton(text: &str) -> String {
    replace(text, |_| Some(""))
}

/// The text with another number wherever `with` gives one.
fn replace<'a>(text: &str, mut with: impl FnMut(Place) -> Option<&'a str>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let place = PLACES.iter().find(|(before, _)| result.ends_with(before)).filter(|_| c.is_ascii_digit());
        let length = match place {
            Some(_) => rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len()),
            None => c.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        result += place.and_then(|(_, place)| with(*place)).unwrap_or(part);
        rest = after;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Quick<'_> = Quick { window: "20s", wait: "2s", every: "1s", thresholds: &[("B", "7")] };

    #[test]
    fn windows_waits_intervals_and_the_named_threshold_change_and_nothing_else() {
        let text = "evaluation_interval: 10s\n- alert: A\n  expr: rate(a_5m[5m] offset 1h) > 1\n  for: 10m\n\
                    - alert: B\n  # > 3 is much\n  expr: |2\n  a * 0.95\n  > 0.8 and b >= 8\n  for: 1m\n";
        let mut left = vec!["B"];
        let changed = QUICK.change(text, &mut left);
        assert_eq!(
            changed,
            "evaluation_interval: 1s\n- alert: A\n  expr: rate(a_5m[20s] offset 20s) > 1\n  for: 2s\n\
             - alert: B\n  # > 3 is much\n  expr: |2\n  a * 0.95\n  > 7 and b >= 8\n  for: 2s\n"
        );
        assert!(left.is_empty());
        assert_eq!(skeleton(&changed), skeleton(text));
    }

    #[test]
    fn a_copy_that_differs_in_anything_else_is_noticed() {
        let text = "expr: rate(a[5m]) > 1\n";
        assert_ne!(skeleton(text), skeleton("expr: rate(b[5m]) > 1\n"));
        assert_ne!(skeleton("a * 0.95"), skeleton("a * 0.96"));
        assert_ne!(skeleton("> 5"), skeleton("< 5"));
    }

    #[test]
    fn the_rules_of_this_repository_can_be_copied_and_a_threshold_without_alert_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let source = crate::repo().join("prometheus");
        copy(&source, dir.path(), Quick { thresholds: &[("SlowDatabase", "0.05")], ..QUICK }).unwrap();
        let work = fs::read_to_string(dir.path().join("rules/work.yml")).unwrap();
        assert!(work.contains("> 0.05\n") && work.contains("[20s]") && !work.contains("for: 5m"), "{work}");
        let error = copy(&source, dir.path(), Quick { thresholds: &[("Nobody", "1")], ..QUICK }).unwrap_err();
        assert!(error.to_string().contains("Nobody"), "{error}");
    }
}
