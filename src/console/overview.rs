//! How the service does: what its routes and phases do, what is hot, and which scenarios run.

use serde::Serialize;

use super::App;
use super::store::Counts;
use super::store::history::quantile::quantile;
use super::store::history::{Distribution, Range};
use crate::diagnostics::scenarios::Shown;
use crate::diagnostics::spans::{SpanRow, Spans};
use crate::names::{HTTP_SERVER_REQUEST_DURATION, SECTION_DURATION, attribute};

/// What numbers are taken over, in seconds.
const LAST_S: u64 = 60;

/// What curves are drawn over: 5 min, and a point for every 5 s.
const CURVE_STEP_NS: u64 = 5_000_000_000;
const CURVE_POINTS: usize = 60;

/// Routes and sections that are listed; there are some ten of each.
const MAX_ROWS: usize = 50;

/// Spans that are listed by their CPU time.
const MAX_HOT: usize = 8;

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub(super) service: String,
    /// The time that numbers are taken over, in seconds: the last minute, or since the start.
    pub(super) seconds: f64,
    /// All requests.
    pub(super) requests: Row,
    /// By route and method.
    pub(super) routes: Vec<Row>,
    /// By phase.
    pub(super) sections: Vec<Row>,
    /// CPU time by span, over the recorder's window; none where it is off.
    pub(super) hot: Vec<SpanRow>,
    /// The recorder's window, as the value of a parameter.
    pub(super) hot_since: String,
    pub(super) scenarios: Vec<Shown>,
    pub(super) store: Counts,
}

/// What one route, phase or everything did.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// The attributes that make it this one.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// How many in the time that numbers are taken over.
    pub(super) count: u64,
    /// Per second.
    pub(super) rate: f64,
    /// The share that failed with 5xx, from 0 to 1; sections have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<f64>,
    /// Quantiles in seconds; none where there was nothing.
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    /// The rate over time.
    pub(super) rates: Vec<f64>,
    /// The quantile over time, in seconds.
    pub(super) p95s: Vec<Option<f64>>,
}

impl Overview {
    /// As it is now.
    pub(super) fn of(app: &App) -> Self {
        let history = &app.console.history;
        let last = history.last(LAST_S);
        let curve = Range::complete(history.newest(), CURVE_STEP_NS, CURVE_POINTS);
        let rows = |metric: &str, keys: &[&'static str]| -> Vec<Row> {
            let now = history.grouped(metric, keys, last);
            let then = history.grouped(metric, keys, curve);
            let row = |((values, now), (_, then)): ((Vec<String>, Distribution), (Vec<String>, Distribution))| {
                Row::new(keys.iter().copied().zip(values).collect(), &now, &then)
            };
            // Some series are there from the start, with nothing in them.
            let counted = |row: &Row| row.count > 0 || row.rates.iter().any(|rate| *rate > 0.0);
            now.into_iter().zip(then).map(row).filter(counted).take(MAX_ROWS).collect()
        };
        let http = HTTP_SERVER_REQUEST_DURATION.name;
        let mut routes = rows(http, &[attribute::HTTP_REQUEST_METHOD, attribute::HTTP_ROUTE]);
        let errors = Failures::of(app, last);
        for row in &mut routes {
            row.errors = Some(errors.share(&row.attributes, row.count));
        }
        routes.sort_by(|a, b| b.rate.total_cmp(&a.rate));
        let mut requests = rows(http, &[]).pop().unwrap_or_else(Row::nothing);
        requests.errors = Some(errors.share(&[], requests.count));
        let spans = Spans::of(&app.sources).ok();
        Self {
            service: app.console.service.to_string(),
            seconds: last.step_s(),
            requests,
            routes,
            sections: rows(SECTION_DURATION.name, &[attribute::SECTION]),
            hot_since: spans.as_ref().map(|spans| spans.since.clone()).unwrap_or_default(),
            hot: spans.map(|spans| spans.spans.into_iter().take(MAX_HOT).collect()).unwrap_or_default(),
            scenarios: Shown::all(&app.sources),
            store: app.console.counts(),
        }
    }
}

impl Row {
    fn new(attributes: Vec<(&'static str, String)>, now: &Distribution, then: &Distribution) -> Self {
        let total = now.total();
        let count = total.iter().sum();
        let of = |q| quantile(&now.bounds, &total, q);
        Self {
            attributes,
            count,
            rate: now.rates().sum(),
            errors: None,
            p50: of(0.5),
            p95: of(0.95),
            p99: of(0.99),
            rates: then.rates().collect(),
            p95s: then.counts.iter().map(|counts| quantile(&then.bounds, counts, 0.95)).collect(),
        }
    }

    fn nothing() -> Self {
        Self {
            attributes: Vec::new(),
            count: 0,
            rate: 0.0,
            errors: None,
            p50: None,
            p95: None,
            p99: None,
            rates: Vec::new(),
            p95s: Vec::new(),
        }
    }
}

/// Requests that failed, by method and route.
struct Failures(Vec<([String; 2], u64)>);

impl Failures {
    fn of(app: &App, range: Range) -> Self {
        let keys = [attribute::HTTP_REQUEST_METHOD, attribute::HTTP_ROUTE, attribute::HTTP_RESPONSE_STATUS_CODE];
        let groups = app.console.history.grouped(HTTP_SERVER_REQUEST_DURATION.name, &keys, range);
        let failed = groups.into_iter().filter_map(|(values, of)| {
            let [method, route, status]: [String; 3] = values.try_into().ok()?;
            status.starts_with('5').then(|| ([method, route], of.total().iter().sum()))
        });
        Self(failed.collect())
    }

    /// Of `count` requests with these attributes.
    fn share(&self, attributes: &[(&'static str, String)], count: u64) -> f64 {
        let of = |values: &[String; 2]| attributes.iter().map(|(_, value)| value).zip(values).all(|(a, b)| a == b);
        let failed: u64 = self.0.iter().filter(|(values, _)| of(values)).map(|(_, failed)| failed).sum();
        if count == 0 { 0.0 } else { failed as f64 / count as f64 }
    }
}
