//! Copies of a file of rules with one fault each. Tests of alerts that pass on one of them do not say enough.

use std::collections::BTreeSet;
use std::ops::Range;

/// What a comparison begins with; a number follows.
const COMPARISONS: [&str; 5] = ["> ", ">= ", "< ", "<= ", "== "];

/// A copy with one fault.
#[derive(Debug)]
pub struct Mutant {
    /// The alert that is wrong now; none for a fault of all rules that record.
    pub alert: Option<String>,
    /// What is wrong with it.
    pub fault: String,
    /// The whole file.
    pub text: String,
}

/// Every copy of `text`: an alert that does not wait, waits half or twice as long or never resolves, that compares with
/// less or more, or that selects by one label less.
#[must_use]
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut recording = Vec::new();
    for (head, block) in blocks(text) {
        let Some(alert) = head.strip_prefix("- alert: ") else {
            if head.starts_with("- record: ") {
                recording.push(query(text, &block));
            }
            continue;
        };
        let query = query(text, &block);
        let mut faults = waits(text, &block);
        faults.extend(thresholds(&text[query.clone()]).into_iter().map(|(place, number)| {
            let place = query.start + place.start..query.start + place.end;
            (format!("{} became {number}", &text[place.clone()]), splice(text, &place, &number))
        }));
        faults.extend(selections(text, &[query]));
        mutants.extend(faults.into_iter().map(|(fault, text)| Mutant { alert: Some(alert.to_owned()), fault, text }));
    }
    let faults = selections(text, &recording);
    mutants.extend(faults.into_iter().map(|(fault, text)| Mutant { alert: None, fault, text }));
    mutants
}

/// The rules and groups: first line, and where the text of each stands.
fn blocks(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut blocks: Vec<(&str, Range<usize>)> = Vec::new();
    for (at, line) in lines(text, &(0..text.len())) {
        let head = line.trim();
        if ["- alert: ", "- record: ", "- name: "].iter().any(|start| head.starts_with(start)) {
            blocks.push((head, at..at));
        }
        if let Some((_, block)) = blocks.last_mut() {
            block.end = at + line.len();
        }
    }
    blocks
}

/// The lines of a part, with their ends and where they begin.
fn lines<'a>(text: &'a str, part: &Range<usize>) -> impl Iterator<Item = (usize, &'a str)> {
    let mut at = part.start;
    text[part.clone()].split_inclusive('\n').map(move |line| {
        at += line.len();
        (at - line.len(), line)
    })
}

/// Where the query of a rule stands: from its key to the next one.
fn query(text: &str, block: &Range<usize>) -> Range<usize> {
    let starts = |key: &str| lines(text, block).find(|(_, line)| line.trim_start().starts_with(key)).map(|(at, _)| at);
    let start = starts("expr:").unwrap_or(block.end);
    start..starts("for:").or_else(|| starts("labels:")).unwrap_or(block.end)
}

fn waits(text: &str, block: &Range<usize>) -> Vec<(String, String)> {
    let end = query(text, block).end;
    let mut faults = vec![("never resolves".to_owned(), splice(text, &(end..end), "        keep_firing_for: 1000d\n"))];
    let Some((at, line)) = lines(text, block).find(|(_, line)| line.trim_start().starts_with("for: ")) else {
        faults.push(("waits".to_owned(), splice(text, &(end..end), "        for: 1m\n")));
        return faults;
    };
    let line = at..at + line.len();
    faults.push(("does not wait".to_owned(), splice(text, &line, "")));
    let wait = text[line.clone()].trim().trim_start_matches("for: ");
    if let Some(seconds) = seconds(wait) {
        for (what, seconds) in [("half", seconds / 2), ("twice", seconds * 2)] {
            faults.push((format!("waits {what} as long"), splice(text, &line, &format!("        for: {seconds}s\n"))));
        }
    }
    faults
}

fn seconds(duration: &str) -> Option<u64> {
    let number = |unit: char| duration.strip_suffix(unit)?.parse::<u64>().ok();
    number('s').or_else(|| Some(number('m')? * 60)).or_else(|| Some(number('h')? * 3600))
}

/// Each number that a query compares with, once less and once more.
fn thresholds(query: &str) -> Vec<(Range<usize>, String)> {
    let mut changed = Vec::new();
    for comparison in COMPARISONS {
        for (at, _) in query.match_indices(comparison) {
            let start = at + comparison.len();
            let rest = &query[start..];
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let Ok(number) = rest[..length].parse::<f64>() else { continue };
            let others = match comparison {
                "== " => vec![number + 1.0],
                // More than none: none is enough, and one event in five minutes is not.
                _ if number == 0.0 => vec![-0.000_001, if query.contains("rate(") { 0.005 } else { 1.5 }],
                _ => vec![number * 0.8, number * 1.25],
            };
            changed.extend(others.into_iter().map(|other| (start..start + length, other.to_string())));
        }
    }
    changed
}

/// The text without one label in the selectors of `queries`, for each label.
fn selections(text: &str, queries: &[Range<usize>]) -> Vec<(String, String)> {
    let selectors: Vec<Range<usize>> = queries.iter().flat_map(|query| selectors(text, query)).collect();
    let label = |matcher: &str| matcher.split(['=', '!']).next().unwrap_or_default().trim().to_owned();
    let labels: BTreeSet<String> =
        selectors.iter().flat_map(|selector| text[selector.clone()].split(',').map(label)).collect();
    let without = |gone: &str| {
        selectors.iter().rev().fold(text.to_owned(), |changed, selector| {
            let kept: Vec<&str> = text[selector.clone()].split(',').filter(|matcher| label(matcher) != gone).collect();
            splice(&changed, selector, &kept.join(","))
        })
    };
    labels.iter().map(|gone| (format!("does not select by {gone}"), without(gone))).collect()
}

/// What stands between the braces of a query; no value of ours holds a brace or a comma.
fn selectors(text: &str, query: &Range<usize>) -> Vec<Range<usize>> {
    let opened = text[query.clone()].match_indices('{').map(|(at, _)| query.start + at + 1);
    opened.filter_map(|start| Some(start..start + text[start..query.end].find('}')?)).collect()
}

fn splice(text: &str, place: &Range<usize>, with: &str) -> String {
    [&text[..place.start], with, &text[place.end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups:\n  - name: a\n    rules:\n      - alert: A\n        # > 3 is much\n        expr: |2\n          \
                         a{job=\"x\",b!~\"y|z\"}\n          > 0.5 and c{job=\"x\"} == 0\n        for: 10m\n        labels:\n          s: w\n      \
                         # 9\n      - alert: B\n        expr: rate(b[5m]) > 0\n        labels:\n          s: w\n  - name: r\n    rules:\n      \
                         - record: r\n        expr: a{job=\"x\"}\n      - record: s\n        expr: b{job=\"x\"}\n";

    /// What a fault takes away and what it brings, line by line.
    fn difference(mutant: &Mutant) -> (Vec<&str>, Vec<&str>) {
        let lines = |text: &'static str| text.lines().map(str::trim).collect::<Vec<_>>();
        let (before, after): (_, Vec<&str>) = (lines(RULES), mutant.text.lines().map(str::trim).collect());
        let gone = before.iter().filter(|line| !after.contains(line)).copied().collect();
        (gone, after.iter().filter(|line| !before.contains(line)).copied().collect())
    }

    #[test]
    fn each_fault_is_made_once_and_changes_nothing_else() {
        let mutants = mutants(RULES);
        let shown: Vec<_> = mutants.iter().map(|one| (one.alert.as_deref(), one.fault.as_str())).collect();
        let (a, b) = (Some("A"), Some("B"));
        assert_eq!(
            shown,
            [
                (a, "never resolves"),
                (a, "does not wait"),
                (a, "waits half as long"),
                (a, "waits twice as long"),
                (a, "0.5 became 0.4"),
                (a, "0.5 became 0.625"),
                (a, "0 became 1"),
                (a, "does not select by b"),
                (a, "does not select by job"),
                (b, "never resolves"),
                (b, "waits"),
                (b, "0 became -0.000001"),
                (b, "0 became 0.005"),
                (None, "does not select by job"),
            ]
        );
        let differences: Vec<_> = mutants.iter().map(difference).collect();
        assert_eq!(differences[0], (vec![], vec!["keep_firing_for: 1000d"]));
        assert_eq!(differences[1], (vec!["for: 10m"], vec![]));
        assert_eq!(differences[3], (vec!["for: 10m"], vec!["for: 1200s"]));
        assert_eq!(differences[6].1, ["> 0.5 and c{job=\"x\"} == 1"]);
        assert_eq!(differences[7].1, ["a{job=\"x\"}"]);
        assert_eq!(differences[8].1, ["a{b!~\"y|z\"}", "> 0.5 and c{} == 0"]);
        assert_eq!(differences[10], (vec![], vec!["for: 1m"]));
        assert_eq!(differences[13].1, ["expr: a{}", "expr: b{}"]);
    }
}
