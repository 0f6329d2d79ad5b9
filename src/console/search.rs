//! Which traces are looked for, and what was found.

pub(super) mod attributes;

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::App;
use super::store::{Counts, Found, Query};
use crate::config::duration;
use crate::diagnostics::ask;
use crate::http::params::{Params, whole};
use crate::http::problem::ParameterFault;

/// Traces that are listed unless more are asked for, and at most: more are for a narrower search.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// The parameters, in the order of the form.
const PARAMETERS: &[&str] = &[
    "trace_id",
    "name",
    "attributes",
    "min_duration",
    "max_duration",
    "error",
    "exemplar",
    "since",
    "from",
    "to",
    "sort",
    "limit",
];

const DURATION: &str = "a duration such as 250ms or 1s500ms";
const TIME: &str = "a time in UTC such as 2026-01-31T13:05:00";

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    /// What stands in the form, also where it is wrong.
    given: Vec<(&'static str, String)>,
    pub(super) query: Query,
    /// What is wrong with it.
    pub(super) faults: Vec<ParameterFault>,
}

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Search {
    /// What was found, in the order that was asked for.
    pub(super) traces: Vec<Found>,
    /// Whether there may be more.
    pub(super) limited: bool,
    pub(super) store: Counts,
}

impl Ask {
    /// Reads a query at the time `now`. A field that is empty was not filled in.
    pub(super) fn read(query: Option<&str>, now: SystemTime) -> Self {
        let mut params = Params::new(query.unwrap_or_default(), PARAMETERS);
        let given = |name: &&'static str| params.given(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let given: Vec<_> = PARAMETERS.iter().filter_map(|name| given(name).map(|text| (*name, text))).collect();
        let mut form = Form { params: &mut params, given: &given };
        let switch = |text: &str| ["true", "false"].iter().position(|one| *one == text).map(|at| at == 0);
        let nanos = |text: &str| u64::try_from(duration::parse(text)?.as_nanos()).ok();
        let mut asked = Query {
            trace_id: form.read("trace_id", "32 hexadecimal digits that are not all 0", ask::trace_id),
            name: form.read("name", "", |text| Some(text.to_owned())),
            attributes: form.read("attributes", attributes::RULE, attributes::parse).unwrap_or_default(),
            min_duration_ns: form.read("min_duration", DURATION, nanos),
            max_duration_ns: form.read("max_duration", DURATION, nanos),
            error: form.read("error", "true (with an error) or false (without)", switch),
            exemplar: form.read("exemplar", "true or false", switch).unwrap_or_default(),
            slowest: form.read("sort", "newest or slowest", sort).unwrap_or_default(),
            limit: form
                .read("limit", "a whole number from 1 to 500", |text| {
                    usize::try_from(whole(text)?).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
                })
                .unwrap_or(LIMIT),
            started: None,
        };
        let since = form.read("since", DURATION, |text| duration::parse(text).filter(|since| !since.is_zero()));
        let [from, to] = ["from", "to"].map(|name| form.read(name, TIME, time));
        form.in_order("min_duration", "max_duration", asked.min_duration_ns, asked.max_duration_ns);
        form.in_order("from", "to", from, to);
        if since.is_some() && from.is_some() {
            form.fault("since", "either since or from");
        }
        let from = from.or_else(|| Some(unix_ns(now).saturating_sub(since?.as_nanos().try_into().ok()?)));
        if from.is_some() || to.is_some() {
            asked.started = Some(from.unwrap_or(0)..=to.unwrap_or(u64::MAX));
        }
        let faults = params.finish().err().unwrap_or_default();
        Self { given, query: asked, faults }
    }

    /// What stands in a field.
    pub(super) fn given(&self, name: &str) -> &str {
        self.given.iter().find(|(given, _)| *given == name).map_or("", |(_, text)| text)
    }

    /// Whether anything narrows the search.
    pub(super) fn is_narrow(&self) -> bool {
        self.given.iter().any(|(name, _)| !["sort", "limit"].contains(name))
    }

    /// The same with another value of one parameter, as a query.
    pub(super) fn with(&self, name: &'static str, value: &str) -> String {
        let others = self.given.iter().filter(|(given, _)| *given != name).map(|(name, text)| (*name, text.as_str()));
        encode(others.chain([(name, value)]))
    }

    /// The query that finds the same.
    pub(super) fn address(&self) -> String {
        encode(self.given.iter().map(|(name, text)| (*name, text.as_str())))
    }
}

/// A query that looks for spans of this name which took about as long.
pub(super) fn like(name: &str, duration_ns: u64) -> String {
    // Whole units of a thousandth of the duration, so that the address can be read.
    let unit = 10_u64.pow(duration_ns.max(1).ilog10().saturating_sub(1));
    let text = |nanos: u64| duration::format(Duration::from_nanos(nanos));
    let (min, max) = (duration_ns / 2 / unit * unit, duration_ns.saturating_mul(2).div_ceil(unit).saturating_mul(unit));
    let (min, max) = (text(min), text(max.max(1_000)));
    encode([("name", name), ("min_duration", &min), ("max_duration", &max)].into_iter())
}

fn encode<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parameter = |(name, text): (&str, &str)| format!("{name}={}", crate::config::percent::encode(text));
    parameters.map(parameter).collect::<Vec<_>>().join("&")
}

struct Form<'a, 'b> {
    params: &'a mut Params<'b>,
    given: &'a [(&'static str, String)],
}

impl Form<'_, '_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, text)| text.as_str())
    }

    fn fault(&mut self, name: &str, bound: &str) {
        let text = self.text(name).unwrap_or_default().to_owned();
        self.params.fault(name, &text, bound);
    }

    fn read<T>(&mut self, name: &str, bound: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let read = parse(self.text(name)?);
        if read.is_none() {
            self.fault(name, bound);
        }
        read
    }

    fn in_order(&mut self, first: &str, last: &str, from: Option<u64>, to: Option<u64>) {
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            let least = format!("not before {first}, which is {}", self.text(first).unwrap_or_default());
            self.fault(last, &least);
        }
    }
}

fn sort(text: &str) -> Option<bool> {
    ["newest", "slowest"].iter().position(|one| *one == text).map(|at| at == 1)
}

/// In nanoseconds since the Unix epoch.
fn time(text: &str) -> Option<u64> {
    // As a browser sends it: without seconds.
    let text = if text.len() == "2026-01-31T13:05".len() { format!("{text}:00") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&text).ok().map(unix_ns)
}

fn unix_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Search {
    /// What there is now; takes some ten milliseconds with a full store.
    pub(super) fn of(app: &App, query: &Query) -> Self {
        let traces = app.console.store.search(query);
        Self { limited: traces.len() == query.limit, traces, store: app.console.counts() }
    }
}

#[cfg(test)]
mod tests;
