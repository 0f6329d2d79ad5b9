//! A histogram over time, and the exemplars in it.

use serde::Serialize;

use super::App;
use super::store::Exemplar;
use super::store::history::quantile::quantile;
use super::store::history::{Distribution, Range};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::names::{self, HTTP_SERVER_REQUEST_DURATION, INSTRUMENTS, Kind};

/// Times that can be chosen, with the length of a column in seconds: 60 columns are as many as a phone can show.
pub(super) const TIMES: [(&str, u64); 3] = [("1m", 1), ("5m", 5), ("15m", 15)];

/// The columns of each.
const COLUMNS: usize = 60;

/// Exemplars that are shown at most, the newest ones: more would hide each other.
const MAX_EXEMPLARS: usize = 500;

/// The quantiles that are drawn.
pub(super) const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) instrument: &'static names::Instrument,
    /// In the order of the instrument's.
    pub(super) attributes: Vec<(String, String)>,
    /// One of [`TIMES`].
    pub(super) time: &'static (&'static str, u64),
}

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Histogram {
    pub(super) metric: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
    pub(super) attributes: Vec<(String, String)>,
    /// The columns, oldest first; the last one may not be over.
    #[serde(flatten)]
    pub(super) over_time: Distribution,
    /// For each column what [`QUANTILES`] are.
    pub(super) quantiles: Vec<[Option<f64>; QUANTILES.len()]>,
    /// The buckets since the process began, and the sum of the values.
    pub(super) since_start: (Vec<u64>, f64),
    /// In the time of the columns, by their time.
    pub(super) exemplars: Vec<Exemplar>,
    /// The attributes of all series of the metric that have counted anything.
    #[serde(skip)]
    pub(super) series: Vec<Vec<(String, String)>>,
}

pub(super) fn histograms() -> impl Iterator<Item = &'static names::Instrument> {
    INSTRUMENTS.iter().filter(|one| one.kind == Kind::Histogram)
}

impl Ask {
    /// Reads a query: `metric`, `time`, and the metric's attributes under their own names.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut known = vec!["metric", "time"];
        known.extend(histograms().flat_map(|one| one.attributes));
        known.sort_unstable();
        known.dedup();
        let mut params = Params::new(query.unwrap_or_default(), &known);
        let listed = histograms().map(|one| one.name).collect::<Vec<_>>().join(", ");
        let instrument = params
            .get("metric", &HTTP_SERVER_REQUEST_DURATION, &listed, |text| histograms().find(|one| one.name == text));
        let time = params.get("time", &TIMES[1], "1m, 5m or 15m", |text| TIMES.iter().find(|(name, _)| *name == text));
        let mut attributes = Vec::new();
        for key in known.iter().filter(|key| !["metric", "time"].contains(key)) {
            let Some(value) = params.given(key).map(str::to_owned) else { continue };
            if instrument.attributes.contains(key) {
                attributes.push(((*key).to_owned(), value));
            } else {
                let bound =
                    format!("not an attribute of {}, which has {}", instrument.name, instrument.attributes.join(", "));
                params.fault(key, &value, &bound);
            }
        }
        params.finish().map_err(Problem::parameters)?;
        Ok(Self { instrument, attributes, time })
    }
}

impl Histogram {
    /// As it is now; `None` where nothing has been recorded yet.
    pub(super) fn of(app: &App, ask: &Ask) -> Option<Self> {
        let (history, store) = (&app.console.history, &app.console.store);
        let name = ask.instrument.name;
        let series = history.counted(name);
        if series.is_empty() {
            return None;
        }
        let range = Range::ending(history.newest(), ask.time.1 * 1_000_000_000, COLUMNS);
        let over_time = history.distribution(name, &ask.attributes, range)?;
        let at = |counts: &Vec<u64>| QUANTILES.map(|(_, q)| quantile(&over_time.bounds, counts, q));
        let quantiles = over_time.counts.iter().map(at).collect();
        let mut exemplars = store.exemplars(name, &ask.attributes);
        exemplars.retain(|one| one.unix_ns > range.from_unix_ns);
        exemplars.sort_by_key(|one| one.unix_ns);
        exemplars.drain(..exemplars.len().saturating_sub(MAX_EXEMPLARS));
        Some(Self {
            metric: name,
            description: ask.instrument.description,
            unit: ask.instrument.unit,
            attributes: ask.attributes.clone(),
            quantiles,
            since_start: history.since_start(name, &ask.attributes)?,
            over_time,
            exemplars,
            series,
        })
    }

    /// The values that each attribute has among the series that have the other attributes which were chosen.
    pub(super) fn choices(&self) -> Vec<(String, Vec<String>)> {
        let chosen = self.attributes.iter();
        let mut keys: Vec<_> = self.series.iter().flatten().chain(chosen).map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let values = |key: String| {
            let others: Vec<_> = self.attributes.iter().filter(|(chosen, _)| *chosen != key).cloned().collect();
            let of = |one: &&Vec<(String, String)>| others.iter().all(|other| one.contains(other));
            let has =
                |one: &Vec<(String, String)>| one.iter().find(|(has, _)| *has == key).map(|(_, value)| value.clone());
            let mut values: Vec<_> = self.series.iter().filter(of).filter_map(has).collect();
            // What was chosen can be taken back, also where nothing has it any more.
            values.extend(self.attributes.iter().filter(|(chosen, _)| *chosen == key).map(|(_, value)| value.clone()));
            values.sort_unstable();
            values.dedup();
            (key, values)
        };
        keys.into_iter().map(values).collect()
    }

    /// The bucket of a value.
    pub(super) fn bucket(&self, value: f64) -> usize {
        self.over_time.bounds.partition_point(|bound| *bound < value)
    }
}
