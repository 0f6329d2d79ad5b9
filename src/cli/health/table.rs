//! A round of checks in a terminal.

use std::fmt::Write as _;

use crate::cli::amount::{amount, labels, printable};
use crate::health::report::{Finding, Report, Verdict};
use crate::verify::prometheus::Labels;

/// Culprits that are named; --json has all of them.
const NAMED: usize = 3;

/// A line for each check, what is wrong, and what all of it comes to.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:<10} {:>14} {:>16}  {:<9}  LOOK AT", "CHECK", "VALUE", "BOUND", "VERDICT");
    for one in &report.checks {
        let value = one.value.map_or("-".to_owned(), |value| with_unit(value, one.unit));
        let bound = format!("< {}", with_unit(one.bound, one.unit));
        let look = if one.verdict == Verdict::Healthy { "" } else { one.look };
        let line = format!("{:<10} {value:>14} {bound:>16}  {:<9}  {look}", one.check, word(one.verdict));
        let _ = writeln!(text, "{}", line.trim_end());
        for culprit in one.culprits.iter().filter(|one| !one.is_empty()).take(NAMED) {
            let _ = writeln!(text, "{:<10} {}", "", labels(&own(culprit)));
        }
        if one.verdict == Verdict::NoData {
            let _ = writeln!(text, "{:<10} nothing answers {}", "", printable(&one.query));
        }
    }
    let _ = writeln!(text, "{}", summary(report));
    text
}

/// What tells one from another: the service is known, and its instance has a label that says the same.
fn own(culprit: &Labels) -> Labels {
    let of_resource = |name: &str| name.starts_with("service_") || name.starts_with("deployment_");
    let mut own = culprit.clone();
    own.retain(|name, _| !of_resource(name));
    if own.is_empty() { culprit.clone() } else { own }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Unhealthy => "unhealthy",
        Verdict::NoData => "no data",
    }
}

fn summary(report: &Report) -> String {
    let service = printable(&report.service);
    let names = |verdict| {
        let of = report.checks.iter().filter(|one: &&Finding| one.verdict == verdict);
        of.map(|one| one.check).collect::<Vec<_>>().join(", ")
    };
    match report.verdict {
        Verdict::Healthy => format!("{service} is healthy ({} checks, {})", report.checks.len(), report.prometheus),
        Verdict::Unhealthy => format!("{service} is not healthy: {}", names(Verdict::Unhealthy)),
        Verdict::NoData => format!(
            "nothing is known of {service}: no data for {}; does it run and export for 15 s or more, under this \
             name (--service)? Leave out what it does not have with --skip",
            names(Verdict::NoData)
        ),
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "bytes/s" => format!("{}/s", amount(value, "bytes")),
        "/s" => format!("{}/s", amount(value, "")),
        _ => format!("{} {unit}", amount(value, "")).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check::{Bounds, Subject};

    #[test]
    fn what_is_wrong_or_missing_is_named_with_what_to_look_at() {
        let bounds = Bounds { tasks: 10.0, memory: 1e6, cpu: 0.5, messages: 100.0, bandwidth: 1e6, errors: 0.1 };
        let finding = |subject: Subject, samples: &[(&str, f64)]| {
            let samples = samples.iter().map(|(name, value)| {
                let labels = [("job".to_owned(), (*name).to_owned())];
                (if name.is_empty() { Labels::new() } else { labels.into() }, *value)
            });
            Finding::new(&subject.check("lab", &bounds), samples.collect())
        };
        let tasks = finding(Subject::Tasks, &[("", -2.0)]);
        let memory = finding(Subject::Memory, &[("a", 3_145_728.0), ("b", 5.0)]);
        let targets = finding(Subject::Targets, &[("a", 1.0), ("b", 0.0), ("c\n", 1.0)]);
        let errors = finding(Subject::Errors, &[]);
        let of = |checks: &[&Finding]| {
            table(&Report::new("http://p", "lab", checks.iter().map(|one| (*one).clone()).collect()))
        };
        let text = of(&[&tasks, &memory, &targets, &errors]);
        let expected = "CHECK               VALUE            BOUND  VERDICT    LOOK AT\n\
            tasks            -2 tasks       < 10 tasks  healthy\n\
            memory            3 MiB/s      < 977 KiB/s  unhealthy  docs/runbooks/MemoryLeakSuspected.md\n           job=\"a\"\n\
            targets                 1              < 1  unhealthy  docs/runbooks/BackendDown.md\n           \
            job=\"a\"\n           job=\"c\\n\"\n\
            errors                  -          < 0.1/s  no data    docs/websocket.md\n           nothing answers \
            sum(rate(websocket_connection_errors_total{service_name=\"lab\"}[1m]))\n\
            lab is not healthy: memory, targets\n";
        assert_eq!(text, expected);
        assert!(of(&[&tasks]).ends_with("lab is healthy (1 checks, http://p)\n"));
        let unknown = of(&[&tasks, &errors]);
        assert!(unknown.contains("nothing is known of lab: no data for errors;"), "{unknown}");
    }

    #[test]
    fn a_culprit_is_shown_by_what_tells_it_from_others() {
        let culprit =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect::<Labels>();
        let series = culprit(&["instance", "service_instance_id", "service_name", "deployment_environment_name"]);
        assert_eq!(own(&series), culprit(&["instance"]));
        let sum = culprit(&["service_instance_id"]);
        assert_eq!(own(&sum), sum);
    }
}
