//! The queries of `docs/queries.md`, each asked while or after its case runs.
//!
//! A block "promql seed" holds the original, the one that follows its twins, a line each, and says over them when they
//! are asked and what they say: `during=` or `after=` a case, `is=` the bounds of every sample, and where that alone
//! could not fail `some=` those of at least one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::bounds::Bounds;
use super::watch::{Task, Watch};

/// When a twin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    During,
    After,
}

struct Twin {
    line: usize,
    query: String,
    when: When,
    case: String,
    is: Bounds,
    some: Option<Bounds>,
}

/// All of them.
pub(super) struct Twins {
    all: Vec<Twin>,
    /// The lines of those that have given the answer that they should.
    answered: Mutex<BTreeSet<usize>>,
}

impl Twins {
    pub(super) fn read(repo: &Path) -> Self {
        let text = fs::read_to_string(repo.join("docs/queries.md")).unwrap();
        let all = parse(&text).unwrap_or_else(|error| panic!("docs/queries.md:{error}"));
        assert!(all.len() > 50, "only {} twins", all.len());
        Self { all, answered: Mutex::default() }
    }

    /// Fails if one is to be asked with a case that there is not.
    pub(super) fn have_cases(&self, has: impl Fn(&str) -> bool) {
        let left: Vec<_> = self.all.iter().filter(|twin| !has(&twin.case)).collect();
        let left: Vec<_> = left.iter().map(|twin| format!("{} ({:?} {})", twin.line, twin.when, twin.case)).collect();
        assert!(left.is_empty(), "nobody asks the twins of docs/queries.md in lines {}", left.join(", "));
    }

    /// Waits for the answers that belong to a case.
    pub(super) fn tasks<'a>(&'a self, watch: &'a Watch, when: When, case: &str) -> Vec<Task<'a>> {
        let twins = self.all.iter().filter(|twin| twin.when == when && twin.case == case);
        let task = |twin: &'a Twin| -> Task<'a> {
            Box::new(move || {
                let samples = watch.query(&twin.query);
                twin.check(samples.as_deref().unwrap_or_default())
                    .map_err(|why| format!("docs/queries.md:{}: {why} in the answer {samples:?}", twin.line))?;
                self.answered.lock().unwrap().insert(twin.line);
                Ok(())
            })
        };
        twins.map(task).collect()
    }

    /// Fails if one was not asked all the same.
    pub(super) fn have_answered(&self) {
        let answered = self.answered.lock().unwrap();
        assert_eq!(*answered, self.all.iter().map(|twin| twin.line).collect::<BTreeSet<_>>());
        println!("  {} twins of docs/queries.md answered", answered.len());
    }
}

impl Twin {
    fn check(&self, samples: &[f64]) -> Result<(), String> {
        match samples.iter().find(|sample| !self.is.hold(**sample)) {
            _ if samples.is_empty() => Err("no sample".to_owned()),
            Some(sample) => Err(format!("{sample} is not in {}", self.is)),
            None => match self.some.filter(|some| !samples.iter().any(|sample| some.hold(*sample))) {
                Some(some) => Err(format!("no sample is in {some}")),
                None => Ok(()),
            },
        }
    }
}

fn parse(text: &str) -> Result<Vec<Twin>, String> {
    let mut twins: Vec<Twin> = Vec::new();
    // The original whose twin has not come yet, and what is said over the twins that come now.
    let (mut seed, mut over) = (None, None);
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if let Some(words) = line.strip_prefix("```promql") {
            match (words.trim() == "seed", seed) {
                (true, Some(other)) => return Err(format!("{other}: a query without a twin")),
                (true, None) => seed = Some(number),
                (false, None) => return Err(format!("{number}: a twin without its query")),
                (false, Some(_)) => over = Some(words.to_owned()),
            }
        } else if line.starts_with("```") {
            if over.take().is_some() {
                seed = None;
            }
        } else if let Some(over) = &over {
            let twin = Twin::parse(number, line, over).map_err(|error| format!("{number}: {error}"))?;
            twins.push(twin);
        }
    }
    match seed {
        Some(line) => Err(format!("{line}: a query without a twin")),
        None => Ok(twins),
    }
}

impl Twin {
    fn parse(line: usize, query: &str, over: &str) -> Result<Self, String> {
        let (mut asked, mut is, mut some) = (None, None, None);
        for word in over.split_whitespace() {
            match word.split_once('=') {
                Some(("during", case)) => asked = Some((When::During, case)),
                Some(("after", case)) => asked = Some((When::After, case)),
                Some(("is", bounds)) => is = Some(bounds.parse()?),
                Some(("some", bounds)) => some = Some(bounds.parse()?),
                _ => return Err(format!("what is {word:?}?")),
            }
        }
        let (when, case) = asked.ok_or("it does not say when it is asked")?;
        let is = is.ok_or("it does not say what it is")?;
        Ok(Self { line, query: query.to_owned(), when, case: case.to_owned(), is, some })
    }
}

#[test]
fn twins_are_found_with_their_lines_and_none_is_missing() {
    let text = "```promql seed\na\n```\n\n```promql during=x is=0.. some=1..\nb\nc\n```\n```sh\nd\n```\n";
    let twins = parse(text).unwrap();
    let found: Vec<_> = twins.iter().map(|twin| (twin.line, twin.query.as_str(), twin.case.as_str())).collect();
    assert_eq!(found, [(6, "b", "x"), (7, "c", "x")]);
    for (samples, good) in [
        (&[][..], false),
        (&[0.0], false),
        (&[0.0, 1.0], true),
        (&[-1.0, 1.0], false),
        (&[1.0, f64::NAN], false),
        (&[1.0, f64::INFINITY], false),
    ] {
        assert_eq!(twins[0].check(samples).is_ok(), good, "{samples:?}");
    }
    for (from, to) in [("during=x ", ""), ("is=0.. ", ""), ("some", "any"), ("0..", ".."), ("seed", "")] {
        assert!(parse(&text.replace(from, to)).is_err(), "{from} → {to}");
    }
    assert!(parse(&format!("{text}```promql seed\nz\n```\n")).is_err(), "a query without a twin");
}
