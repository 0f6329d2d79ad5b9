//! Takes a page of OpenMetrics 1.0 text apart, or of the older text format of Prometheus, which backends still write.
//!
//! It reads what any exporter may write and checks no more than it needs: whether a page keeps every rule of the format is
//! asked of other readers, where the page is written.

use std::collections::BTreeMap;

/// The labels of a sample.
pub type Labels = BTreeMap<String, String>;

/// What belongs to one name.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Family {
    /// The name, without the suffixes of its samples.
    pub name: String,
    /// `counter`, `gauge`, `histogram` and so on; `unknown` unless the page says.
    pub kind: String,
    /// The unit, if the page says.
    pub unit: Option<String>,
    /// What it is, in words; empty unless the page says.
    pub help: String,
    /// In the order of the page.
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name with its suffix.
    pub name: String,
    /// The labels, also `le`.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// Whether an exemplar hangs on it.
    pub exemplar: bool,
}

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4: without units, exemplars and an end, and with comments of any kind.
    Text,
}

impl Format {
    /// What a page is asked for as: OpenMetrics, or else the text format.
    pub const ACCEPT: &str = "application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4; q=0.5";

    /// The format of a content type, unless it is of another kind.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type {
            openmetrics if openmetrics.starts_with("application/openmetrics-text") => Some(Self::OpenMetrics),
            text if text.starts_with("text/plain; version=0.0.4") => Some(Self::Text),
            _ => None,
        }
    }
}

/// A rule that a page breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {rule}")]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// The rule.
    pub rule: &'static str,
}

/// Reads a page.
///
/// # Errors
/// When a line is none of the format, or a page of OpenMetrics does not end with `# EOF`, because then part of it is missing.
pub fn parse(format: Format, page: &str) -> Result<Vec<Family>, Fault> {
    let mut families: Vec<Family> = Vec::new();
    let mut ended = format == Format::Text;
    let mut last = 0;
    for (index, line) in page.lines().enumerate() {
        last = index + 1;
        let fault = |rule| Fault { line: index + 1, rule };
        if format == Format::Text && (line.is_empty() || line.starts_with('#')) {
            // What describes nothing is for people.
            let _ = line.strip_prefix("# ").and_then(|comment| describe(&mut families, comment));
        } else if ended && format == Format::OpenMetrics {
            return Err(fault("nothing follows # EOF"));
        } else if line == "# EOF" {
            ended = true;
        } else if let Some(comment) = line.strip_prefix("# ") {
            describe(&mut families, comment).ok_or_else(|| fault("a comment is # TYPE, UNIT or HELP and a name"))?;
        } else {
            let sample = sample(line).map_err(fault)?;
            match families.last_mut().filter(|family| family.owns(&sample.name)) {
                Some(family) => family.samples.push(sample),
                None => families.push(Family {
                    name: sample.name.clone(),
                    kind: "unknown".to_owned(),
                    samples: vec![sample],
                    ..Family::default()
                }),
            }
        }
    }
    if ended { Ok(families) } else { Err(Fault { line: last, rule: "the last line is # EOF: the page was cut off" }) }
}

impl Family {
    /// Whether a sample of this name belongs to it.
    fn owns(&self, name: &str) -> bool {
        const SUFFIXES: [&str; 9] =
            ["", "_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum"];
        name.strip_prefix(&self.name).is_some_and(|suffix| SUFFIXES.contains(&suffix))
    }
}

/// Adds a comment to the family that it names, which begins with its first one.
fn describe(families: &mut Vec<Family>, comment: &str) -> Option<()> {
    let (key, rest) = comment.split_once(' ')?;
    let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
    if name.is_empty() || !["TYPE", "UNIT", "HELP"].contains(&key) {
        return None;
    }
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family { name: name.to_owned(), kind: "unknown".to_owned(), ..Family::default() });
    }
    let family = families.last_mut()?;
    match key {
        "TYPE" => text.clone_into(&mut family.kind),
        "UNIT" => family.unit = (!text.is_empty()).then(|| text.to_owned()),
        _ => family.help = unescape(text),
    }
    Some(())
}

/// `name{labels} value time # {labels} value time`, of which name and value must be there.
fn sample(line: &str) -> Result<Sample, &'static str> {
    let end = line.find(['{', ' ']).ok_or("a sample has a name and a value")?;
    let (name, rest) = line.split_at(end);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err("a name has letters, digits, _ and : only");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let (own, exemplar) = match rest.split_once(" # ") {
        Some((own, exemplar)) if exemplar.starts_with('{') => (own, true),
        Some(_) => return Err("an exemplar begins with its labels in braces"),
        None => (rest, false),
    };
    let mut words = own.strip_prefix(' ').ok_or("a value comes after a space")?.split(' ');
    let value = words.next().and_then(|word| word.parse().ok()).ok_or("a value is a number")?;
    let time = words.next().is_none_or(|word| word.parse::<f64>().is_ok());
    if !time || words.next().is_some() {
        return Err("nothing but a time follows a value");
    }
    Ok(Sample { name: name.to_owned(), labels, value, exemplar })
}

/// Reads to the closing brace, and returns what follows it.
fn labels(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Labels::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, value) = rest.split_once("=\"").ok_or("a label is name=\"value\"")?;
        let end = closing_quote(value).ok_or("the value of a label ends with a quote")?;
        labels.insert(name.to_owned(), unescape(&value[..end]));
        rest = &value[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return Err("labels are separated by commas, and end with a brace"),
        };
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
