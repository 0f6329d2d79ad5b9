//! Whether every rule and document names only series and labels that something emits, and whose they are.
//!
//! What the service emits it says itself (`phaselab check --names`); what the backends emit is a short list
//! here. Queries are taken apart by Prometheus, which is also what reads the rules.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::Value;

/// Labels that Prometheus gives every series of the application, out of its resource.
const RESOURCE: [&str; 7] = [
    "job",
    "instance",
    "service_name",
    "service_namespace",
    "service_instance_id",
    "service_version",
    "deployment_environment_name",
];

/// Series of the backends that rules and documents may use: name, labels besides `job` and `instance`.
const BACKENDS: [(&str, &[&str]); 9] = [
    // Prometheus makes it of every scrape.
    ("up", &[]),
    // The collector's own metrics, of its version in stack/otelcol.
    ("otelcol_exporter_queue_size", &["exporter", "data_type"]),
    ("otelcol_exporter_queue_capacity", &["exporter", "data_type"]),
    ("otelcol_receiver_refused_spans", &["receiver", "transport"]),
    ("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early", &[]),
    ("otelcol_processor_tail_sampling_sampling_traces_on_memory", &[]),
    // Prometheus's own, about the rules and about whom it tells.
    ("prometheus_rule_evaluation_failures_total", &["rule_group"]),
    ("prometheus_notifications_alertmanagers_discovered", &[]),
    ("prometheus_notifications_errors_total", &["alertmanager"]),
];

/// Series that the collector makes of the service's spans, so they carry its resource.
const SPAN_METRICS: [&str; 4] = [
    "traces_span_metrics_calls_total",
    "traces_span_metrics_duration_seconds_bucket",
    "traces_span_metrics_duration_seconds_sum",
    "traces_span_metrics_duration_seconds_count",
];

/// Words that look like a series and are none: parameters, phases and spans of the work, names of other projects.
const NO_SERIES: [&str; 7] =
    ["db_ms", "db_query", "jemalloc_pprof", "prometheus_client", "tokio_unstable", "work_ms", "worker_task"];

/// A series that exists.
#[derive(Debug)]
struct Series {
    labels: BTreeSet<String>,
    /// The label that says whose it is; every selector must name it. None for what a rule records: its
    /// own query has selected.
    owner: Option<&'static str>,
}

/// Every series that exists, by name.
#[derive(Debug)]
pub(super) struct Known(BTreeMap<String, Series>);

impl Known {
    /// Reads what `phaselab check --names` printed, and adds the backends.
    ///
    /// # Errors
    /// If a line has another form.
    pub(super) fn new(listing: &str) -> anyhow::Result<Self> {
        let set = |labels: &mut dyn Iterator<Item = &str>| labels.map(str::to_owned).collect::<BTreeSet<_>>();
        let mut known = BTreeMap::new();
        for line in listing.lines() {
            let mut words = line.split_whitespace().skip(2);
            let name = words.next().with_context(|| format!("no series in the line {line:?}"))?;
            let own = words.next().unwrap_or_default().split(',').filter(|label| !label.is_empty());
            let series = Series { labels: set(&mut RESOURCE.into_iter().chain(own)), owner: Some("service_name") };
            known.insert(name.to_owned(), series);
        }
        if known.is_empty() {
            bail!("the service names no series at all");
        }
        for name in SPAN_METRICS {
            let own = ["span_name", "span_kind", "status_code", "collector_instance_id", "le"];
            let labels = set(&mut RESOURCE.into_iter().chain(own));
            known.insert(name.to_owned(), Series { labels, owner: Some("service_name") });
        }
        for (name, own) in BACKENDS {
            let labels = set(&mut ["job", "instance"].into_iter().chain(own.iter().copied()));
            known.insert(name.to_owned(), Series { labels, owner: Some("job") });
        }
        Ok(Self(known))
    }

    /// Adds a series that a rule records.
    pub(super) fn record(&mut self, name: &str, labels: BTreeSet<String>) {
        self.0.insert(name.to_owned(), Series { labels, owner: None });
    }

    /// The labels of a query's result; what is wrong with the query is added to `faults`.
    ///
    /// `node` is an expression as Prometheus's `parse_query` gives it.
    pub(super) fn labels(&self, node: &Value, faults: &mut Vec<String>) -> BTreeSet<String> {
        match node["type"].as_str().unwrap_or_default() {
            "vectorSelector" | "matrixSelector" => self.selector(node, faults),
            "aggregation" => {
                let inner = self.labels(&node["expr"], faults);
                let grouping = texts(&node["grouping"]);
                for label in grouping.difference(&inner) {
                    faults.push(format!("nothing below `{} by` has the label {label}", text(&node["op"])));
                }
                match text(&node["op"]) {
                    "topk" | "bottomk" | "limitk" | "limit_ratio" => inner,
                    _ if node["without"] == true => &inner - &grouping,
                    _ => grouping,
                }
            }
            "binaryExpr" => self.binary(node, faults),
            "call" => {
                let arguments = node["args"].as_array().map(Vec::as_slice).unwrap_or_default();
                let mut labels: BTreeSet<_> =
                    arguments.iter().flat_map(|argument| self.labels(argument, faults)).collect();
                if ["label_replace", "label_join"].contains(&text(&node["func"]["name"])) {
                    labels.insert(text(&node["args"][1]["val"]).to_owned());
                }
                labels
            }
            "parenExpr" | "unaryExpr" | "subquery" | "stepInvariantExpr" => self.labels(&node["expr"], faults),
            "numberLiteral" | "stringLiteral" => BTreeSet::new(),
            other => {
                faults.push(format!("this check does not know expressions of the type {other:?}"));
                BTreeSet::new()
            }
        }
    }

    fn selector(&self, node: &Value, faults: &mut Vec<String>) -> BTreeSet<String> {
        let name = text(&node["name"]);
        let Some(series) = self.0.get(name) else {
            faults.push(format!("nothing emits {name}"));
            return BTreeSet::new();
        };
        let matchers = node["matchers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let selected: BTreeSet<&str> =
            matchers.iter().map(|matcher| text(&matcher["name"])).filter(|label| *label != "__name__").collect();
        for label in selected.iter().filter(|label| !series.labels.contains(**label)) {
            faults.push(format!("{name} has no label {label}"));
        }
        if let Some(owner) = series.owner.filter(|owner| !selected.contains(owner)) {
            faults.push(format!("{name} is selected without {owner}: others have series of this name, too"));
        }
        series.labels.clone()
    }

    fn binary(&self, node: &Value, faults: &mut Vec<String>) -> BTreeSet<String> {
        let (left, right) = (self.labels(&node["lhs"], faults), self.labels(&node["rhs"], faults));
        let matching = &node["matching"];
        let named = texts(&matching["labels"]);
        if matching["on"] == true {
            for label in named.iter().filter(|label| !left.contains(*label) || !right.contains(*label)) {
                faults.push(format!("`on ({label})`: not both sides have this label"));
            }
        }
        let include = texts(&matching["include"]);
        match (text(&node["op"]), text(&matching["card"])) {
            ("and" | "unless", _) => left,
            (_, "many-to-one") => &left | &include,
            (_, "one-to-many") => &right | &include,
            (_, "one-to-one") if matching["on"] == true => named,
            (_, "one-to-one") => &left - &named,
            _ => &left | &right,
        }
    }

    /// Words of a text in code that look like a series of a known family and are none.
    pub(super) fn strangers<'a>(&self, code: &'a str) -> Vec<&'a str> {
        let family = |word: &str| word.split(['_', ':']).next().unwrap_or_default().to_owned();
        let families: BTreeSet<String> = self.0.keys().map(|name| family(name)).collect();
        code.split(|c: char| !(c.is_ascii_alphanumeric() || "_:*.".contains(c)))
            .filter(|word| word.contains('_') && !word.contains('.') && families.contains(&family(word)))
            .filter(|word| !NO_SERIES.contains(word) && !self.names(word))
            .collect()
    }

    /// Whether a word is a series, a histogram, a label, or with `*` the beginning of one.
    fn names(&self, word: &str) -> bool {
        let is = |name: &str| match word.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => {
                name == word || ["_bucket", "_sum", "_count"].iter().any(|part| name.strip_suffix(part) == Some(word))
            }
        };
        self.0.iter().any(|(name, series)| is(name) || series.labels.iter().any(|label| is(label)))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
