//! The exemplars of a service, asked from Prometheus.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ask::{AskError, Client};

/// Labels of a series or an exemplar.
pub type Labels = BTreeMap<String, String>;

/// An exemplar and where it hangs.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Name of the metric, without `_bucket`.
    pub metric: String,
    /// Labels of the series, without name and `le`.
    pub series: Labels,
    /// The bucket, if the series is one.
    pub bucket: Option<Bucket>,
    /// The recorded value, in the metric's unit.
    pub value: f64,
    /// When it was recorded, seconds since 1970.
    pub timestamp: f64,
    /// The label `trace_id`, or empty.
    pub trace_id: String,
    /// The label `span_id`, or empty.
    pub span_id: String,
}

/// A bucket of a histogram: values above `above` and up to `le`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The next lower boundary of the same histogram; minus infinity in the lowest bucket.
    pub above: f64,
    /// The boundary that is the bucket's label.
    pub le: f64,
}

/// What Prometheus knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Every histogram of the service, with and without exemplars.
    pub metrics: Vec<String>,
    /// All exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Asks one Prometheus about one service.
#[derive(Debug)]
pub struct Prometheus<'a> {
    client: &'a Client,
    url: &'a str,
    selector: &'a str,
}

#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeriesExemplars {
    series_labels: Labels,
    exemplars: Vec<RawExemplar>,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<VectorSample>,
}

#[derive(Deserialize)]
struct VectorSample {
    metric: Labels,
    /// When and how much.
    value: (f64, String),
}

#[derive(Deserialize)]
struct RawExemplar {
    labels: Labels,
    value: String,
    timestamp: f64,
}

impl<'a> Prometheus<'a> {
    /// Asks the Prometheus at `url` about the series that `selector` (label matchers, without braces) matches.
    #[must_use]
    pub fn new(client: &'a Client, url: &'a str, selector: &'a str) -> Self {
        Self { client, url, selector }
    }

    /// All exemplars between two moments, in seconds since 1970.
    ///
    /// # Errors
    /// When Prometheus cannot be asked, refuses the selector, or answers in another form.
    pub async fn exemplars(&self, start: f64, end: f64) -> Result<Found, AskError> {
        let range = (start.to_string(), end.to_string());
        let mut found = Found::default();
        // Counters may carry exemplars as well, and one of theirs that dangles is as bad.
        let names = format!("{{__name__=~\".+_(bucket|total)\",{}}}", self.selector);
        let names: Vec<String> = self.ask("/api/v1/label/__name__/values", ("match[]", &names), &range).await?;
        for name in names {
            let one = format!("{{__name__=\"{name}\",{}}}", self.selector);
            let raw: Vec<SeriesExemplars> = self.ask("/api/v1/query_exemplars", ("query", &one), &range).await?;
            let Some(metric) = name.strip_suffix("_bucket") else {
                found.add(&name, &BTreeMap::new(), raw);
                continue;
            };
            // Only all series of a histogram tell its boundaries: a bucket without exemplar is missing in `raw`.
            let series: Vec<Labels> = match raw.is_empty() {
                true => Vec::new(),
                false => self.ask("/api/v1/series", ("match[]", &one), &range).await?,
            };
            found.metrics.push(metric.to_owned());
            found.add(metric, &boundaries(series), raw);
        }
        Ok(found)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        (key, value): (&str, &str),
        (start, end): &(String, String),
    ) -> Result<T, AskError> {
        ask(self.client, self.url, path, &[(key, value), ("start", start), ("end", end)]).await
    }
}

/// What each series that `query` selects or makes is now.
///
/// # Errors
/// When Prometheus cannot be asked, refuses the query, or answers in another form than that of a vector.
pub async fn instant(client: &Client, url: &str, query: &str) -> Result<Vec<(Labels, f64)>, AskError> {
    let vector: Vector = ask(client, url, "/api/v1/query", &[("query", query)]).await?;
    // Not a number is no answer that anything would be content with, so one that cannot be read is reported and not lost.
    let number = |text: String| text.parse().unwrap_or(f64::NAN);
    Ok(vector.result.into_iter().map(|sample| (sample.metric, number(sample.value.1))).collect())
}

async fn ask<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<T, AskError> {
    let answer = client.get(url, path, query).await?.ok()?;
    let envelope: Envelope<T> = answer.json()?;
    match envelope.data {
        Some(data) if envelope.status == "success" => Ok(data),
        _ => Err(answer.unexpected(envelope.error.unwrap_or(envelope.status))),
    }
}

impl Found {
    fn add(&mut self, metric: &str, boundaries: &BTreeMap<Labels, Vec<f64>>, raw: Vec<SeriesExemplars>) {
        for series in raw {
            let (labels, le) = without_le(series.series_labels);
            let bucket = le.map(|le| {
                let lower = boundaries.get(&labels).into_iter().flatten().copied().filter(|bound| *bound < le);
                Bucket { above: lower.fold(f64::NEG_INFINITY, f64::max), le }
            });
            self.exemplars.extend(series.exemplars.into_iter().map(|mut raw| Exemplar {
                metric: metric.to_owned(),
                series: labels.clone(),
                bucket,
                // Not a number fits no bucket, so a value that cannot be read is reported and not lost.
                value: raw.value.parse().unwrap_or(f64::NAN),
                timestamp: raw.timestamp,
                trace_id: raw.labels.remove("trace_id").unwrap_or_default(),
                span_id: raw.labels.remove("span_id").unwrap_or_default(),
            }));
        }
    }
}

/// The boundaries of every histogram, by its labels: two of one name may differ, after a deployment for example.
fn boundaries(series: Vec<Labels>) -> BTreeMap<Labels, Vec<f64>> {
    let mut boundaries = BTreeMap::<Labels, Vec<f64>>::new();
    for labels in series {
        if let (labels, Some(le)) = without_le(labels) {
            boundaries.entry(labels).or_default().push(le);
        }
    }
    boundaries
}

fn without_le(mut labels: Labels) -> (Labels, Option<f64>) {
    labels.remove("__name__");
    let le = labels.remove("le").map(|le| le.parse().unwrap_or(f64::NAN));
    (labels, le)
}
