//! A reader that accepts no more than the formats allow. It shares nothing with the writer, but it has the same author:
//! that foreign readers agree is what `foreign` and `prometheus` are for.

use std::collections::{BTreeMap, BTreeSet};

use crate::exposition::Format;

pub(super) type LabelSet = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: LabelSet,
    pub(super) value: f64,
    /// Labels, value and time.
    pub(super) exemplar: Option<(LabelSet, f64, f64)>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) word: String,
    pub(super) unit: Option<String>,
    pub(super) help: Option<String>,
    pub(super) samples: Vec<Sample>,
}

/// Reads a page, or says which line breaks which rule.
pub(super) fn read(format: Format, page: &str) -> Result<Vec<Group>, String> {
    let body = match format {
        Format::OpenMetrics => page.strip_suffix("# EOF\n").ok_or("no # EOF at the end")?,
        Format::Text => page,
    };
    let mut groups: Vec<Group> = Vec::new();
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in body.split_terminator('\n') {
        let fault = |rule: &str| format!("{rule}: {line:?}");
        if let Some(rest) = line.strip_prefix("# ") {
            let mut parts = rest.splitn(3, ' ');
            let (Some(key), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(fault("a comment"));
            };
            if !is_name(name, true) {
                return Err(fault("a bad name"));
            }
            if groups.last().is_none_or(|group| group.name != name) {
                groups.push(Group { name: name.to_owned(), ..Group::default() });
            }
            let group = groups.last_mut().ok_or_else(|| fault("no group"))?;
            if !group.samples.is_empty() {
                return Err(fault("metadata after samples"));
            }
            let fresh = match key {
                "TYPE" if group.word.is_empty() => {
                    group.word = text.to_owned();
                    true
                }
                "UNIT" => group.unit.replace(text.to_owned()).is_none(),
                "HELP" => group.help.replace(unescape(text, format == Format::OpenMetrics)?).is_none(),
                _ => false,
            };
            if !fresh {
                return Err(fault("unknown or repeated metadata"));
            }
        } else {
            let sample = sample(line).map_err(|rule| fault(&rule))?;
            let group = groups.last_mut().ok_or_else(|| fault("a sample before its TYPE"))?;
            check(format, group, &sample).map_err(|rule| fault(&rule))?;
            group.samples.push(sample);
        }
    }
    check_page(format, &groups)?;
    Ok(groups)
}

fn suffixes(format: Format, word: &str) -> Result<&'static [&'static str], String> {
    Ok(match (format, word) {
        (_, "histogram") => &["_bucket", "_sum", "_count"],
        (Format::OpenMetrics, "counter") => &["_total"],
        (Format::OpenMetrics, "info") => &["_info"],
        (Format::OpenMetrics, "unknown") | (Format::Text, "counter") | (_, "gauge") => &[""],
        _ => return Err(format!("no type {word:?}")),
    })
}

fn check(format: Format, group: &Group, sample: &Sample) -> Result<(), String> {
    let suffix = sample.name.strip_prefix(&group.name).ok_or("a sample outside its family")?;
    if !suffixes(format, &group.word)?.contains(&suffix) {
        return Err(format!("no suffix {suffix:?} in a {}", group.word));
    }
    let counts = matches!(suffix, "_total" | "_bucket" | "_count" | "_sum");
    if format == Format::OpenMetrics && counts && (sample.value.is_nan() || sample.value < 0.0) {
        return Err("a count that is none".into());
    }
    if sample.exemplar.is_some() && (format == Format::Text || !matches!(suffix, "_total" | "_bucket")) {
        return Err("an exemplar where none may be".into());
    }
    if let Some((labels, value, _)) = &sample.exemplar {
        let le = sample.labels.get("le").filter(|_| suffix == "_bucket").map_or(Ok(f64::INFINITY), |le| number(le))?;
        if *value > le {
            return Err("an exemplar above its bucket".into());
        }
        if labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum::<usize>() > 128 {
            return Err("an exemplar with more than 128 characters of labels".into());
        }
    }
    if (suffix == "_bucket") != (sample.labels.contains_key("le") && group.word == "histogram") {
        return Err("`le` is for buckets".into());
    }
    Ok(())
}

fn check_page(format: Format, groups: &[Group]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut series = BTreeSet::new();
    for group in groups {
        let mut own: BTreeSet<String> =
            suffixes(format, &group.word)?.iter().map(|suffix| format!("{}{suffix}", group.name)).collect();
        own.insert(group.name.clone());
        if format == Format::OpenMetrics && matches!(group.word.as_str(), "counter" | "histogram") {
            own.insert(format!("{}_created", group.name));
        }
        if let Some(name) = own.into_iter().find(|name| !names.insert(name.clone())) {
            return Err(format!("two families have {name}"));
        }
        if let Some(unit) = &group.unit
            && (format == Format::Text || !group.name.ends_with(&format!("_{unit}")))
        {
            return Err(format!("unit {unit} of {}", group.name));
        }
        if let Some(twice) = group.samples.iter().find(|s| !series.insert((s.name.clone(), s.labels.clone()))) {
            return Err(format!("twice: {twice:?}"));
        }
        if group.samples.is_empty() {
            return Err(format!("{} has no sample", group.name));
        }
        if group.word == "histogram" {
            check_histogram(format, group)?;
        }
    }
    Ok(())
}

fn check_histogram(format: Format, group: &Group) -> Result<(), String> {
    let fault = |rule: &str| Err(format!("{rule}: {}", group.name));
    let mut points: Vec<(LabelSet, Vec<&Sample>)> = Vec::new();
    for sample in &group.samples {
        let mut labels = sample.labels.clone();
        labels.remove("le");
        match points.last_mut() {
            Some((last, samples)) if *last == labels => samples.push(sample),
            _ => points.push((labels, vec![sample])),
        }
    }
    for (index, (labels, samples)) in points.iter().enumerate() {
        if points[..index].iter().any(|(earlier, _)| earlier == labels) {
            return fault("a point's lines are apart");
        }
        let of = |suffix: &str| samples.iter().find(|sample| sample.name.ends_with(suffix)).map(|s| s.value);
        let buckets: Vec<_> = samples.iter().filter(|sample| sample.labels.contains_key("le")).collect();
        let bounds = buckets.iter().map(|bucket| number(&bucket.labels["le"])).collect::<Result<Vec<_>, _>>()?;
        if !bounds.is_sorted_by(|a, b| a < b) || !buckets.is_sorted_by(|a, b| a.value <= b.value) {
            return fault("buckets out of order");
        }
        let Some(last) = buckets.last().filter(|_| bounds.last() == Some(&f64::INFINITY)) else {
            return fault("no +Inf bucket");
        };
        if of("_count").is_some_and(|count| count != last.value) || of("_sum").is_some() != of("_count").is_some() {
            return fault("sum, count and +Inf do not agree");
        }
        if format == Format::OpenMetrics && bounds[0] < 0.0 && of("_sum").is_some() {
            return fault("a sum with negative bounds");
        }
        if buckets.iter().any(|bucket| !bucket.labels["le"].contains(['.', 'e', 'I'])) {
            return fault("an le that is not canonical");
        }
    }
    Ok(())
}

/// `name{labels} value`, and perhaps ` # {labels} value time`.
pub(super) fn sample(line: &str) -> Result<Sample, String> {
    let (name, labels, rest) = match line.split_once(['{', ' ']) {
        Some((name, _)) if line.as_bytes()[name.len()] == b'{' => {
            let (labels, rest) = labels(&line[name.len() + 1..])?;
            (name, labels, rest.strip_prefix(' ').ok_or("no space after the labels")?)
        }
        Some((name, rest)) => (name, LabelSet::new(), rest),
        None => return Err("no value".into()),
    };
    if !is_name(name, true) {
        return Err("a bad name".into());
    }
    let (value, exemplar) = match rest.split_once(" # {") {
        Some((value, rest)) => {
            let (labels, rest) = labels_of_exemplar(rest)?;
            let (own, time) = rest.split_once(' ').ok_or("an exemplar without a time")?;
            (value, Some((labels, number(own)?, number(time)?)))
        }
        None => (rest, None),
    };
    Ok(Sample { name: name.to_owned(), labels, value: number(value)?, exemplar })
}

fn labels_of_exemplar(text: &str) -> Result<(LabelSet, &str), String> {
    let (labels, rest) = labels(text)?;
    Ok((labels, rest.strip_prefix(' ').ok_or("no space after an exemplar's labels")?))
}

/// Reads to the closing brace.
fn labels(mut text: &str) -> Result<(LabelSet, &str), String> {
    let mut found = LabelSet::new();
    loop {
        let (name, rest) = text.split_once("=\"").ok_or("no label")?;
        if !is_name(name, false) {
            return Err(format!("a bad label name {name:?}"));
        }
        let mut end = rest.char_indices();
        let end = loop {
            match end.next().ok_or("no end of a label's value")? {
                (at, '"') => break at,
                (_, '\\') => drop(end.next()),
                _ => {}
            }
        };
        if found.insert(name.to_owned(), unescape(&rest[..end], true)?).is_some() {
            return Err(format!("label {name} twice"));
        }
        text = &rest[end + 1..];
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((found, rest));
        }
        text = text.strip_prefix(',').ok_or("no comma between labels")?;
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\\') => out.push('\\'),
                Some('n') => out.push('\n'),
                Some('"') if quotes => out.push('"'),
                other => return Err(format!("escape {other:?}")),
            },
            '"' if quotes => return Err("a bare quote".into()),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn number(text: &str) -> Result<f64, String> {
    let ok = matches!(text, "NaN" | "+Inf" | "-Inf") || text.bytes().all(|b| b"+-.e0123456789".contains(&b));
    text.parse().ok().filter(|_| ok).ok_or_else(|| format!("no number: {text:?}"))
}

fn is_name(name: &str, colon: bool) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || colon && c == ':')
        && (colon || !name.starts_with("__"))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || colon && c == ':')
}

/// A reader that takes everything would prove nothing.
#[test]
fn broken_pages_are_refused() {
    for page in BROKEN {
        assert!(read(Format::OpenMetrics, page).is_err(), "{page}");
    }
    // prometheus_client takes this one, but OpenMetrics wants `1.0`.
    assert!(
        read(Format::OpenMetrics, "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\n# EOF\n")
            .is_err()
    );
    for page in SOUND {
        assert_eq!(read(Format::OpenMetrics, page).err(), None, "{page}");
    }
}

pub(super) const SOUND: [&str; 3] = [
    "# EOF\n",
    "# TYPE a counter\na_total{b=\"c\"} 1 # {trace_id=\"0\"} 1 2.5\n# TYPE d gauge\nd NaN\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"-1.0\"} 1\na_bucket{le=\"+Inf\"} 2\n# EOF\n",
];

/// Each breaks one rule of OpenMetrics 1.0.
pub(super) const BROKEN: [&str; 16] = [
    "# TYPE a gauge\na 1\n",
    "# TYPE a gauge\na 1_000\n# EOF\n",
    "# TYPE a gauge\na 1\n\n# EOF\n",
    "# TYPE a counter\na 1\na 2 # {\n# EOF\n",
    "# TYPE a counter\na_total NaN\n# EOF\n",
    "# TYPE a counter\na_total -1\n# EOF\n",
    "# TYPE a gauge\na{b=\"c\"d\"} 1\n# EOF\n",
    "# TYPE a gauge\na{b.c=\"d\"} 1\n# EOF\n",
    "# TYPE a gauge\na{__b=\"d\"} 1\n# EOF\n",
    "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
    "# TYPE a gauge\na 1\n# TYPE a_total counter\na_total_total 1\n# TYPE a gauge\na{b=\"c\"} 1\n# EOF\n",
    "# TYPE a counter\na_total 1\n# TYPE a_total unknown\na_total{b=\"c\"} 1\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"Inf\"} 2\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"-1.0\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\n# EOF\n",
    "# TYPE a gauge\na 1 # {trace_id=\"0\"} 1 2.5\n# EOF\n",
];
