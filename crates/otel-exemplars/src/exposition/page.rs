//! Families as lines of text: what is common to all types, and numbers.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use super::families::{Family, Kind, Member, plan};
use super::histograms::Buckets;
use super::labels::Labels;
use super::left_out::{LeftOut, Reason};
use super::number::{Number, push_time};
use super::seen::Seen;
use super::values::push_escaped;
use super::{ExemplarLookup, Format, PointExemplars};
use crate::exemplar::Exemplar;

/// Writes the whole page; also says what is not on it.
pub(super) fn render(
    format: Format,
    metrics: &ResourceMetrics,
    exemplars: &dyn ExemplarLookup,
) -> (String, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let families = plan(format, metrics, &mut left_out);
    let page = PageWriter {
        out: String::with_capacity(super::estimate::page_len(&families)),
        format,
        exemplars,
        now: SystemTime::now(),
        attributes: Vec::new(),
        left_out,
        labels: Labels::default(),
        seen: Seen::default(),
        buckets: Buckets::default(),
    };
    page.write(metrics, &families)
}

pub(super) struct PageWriter<'a> {
    pub(super) out: String,
    pub(super) format: Format,
    exemplars: &'a dyn ExemplarLookup,
    now: SystemTime,
    /// Those of the point whose exemplars were looked up last; kept to be filled again.
    attributes: Vec<&'a KeyValue>,
    left_out: Vec<LeftOut>,
    labels: Labels<'a>,
    pub(super) seen: Seen,
    pub(super) buckets: Buckets,
}

/// Where the points of one metric belong.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) family: &'a Family<'a>,
    member: &'a Member<'a>,
    exemplars: Option<&'a dyn PointExemplars>,
}

impl<'a> PageWriter<'a> {
    fn write(mut self, metrics: &'a ResourceMetrics, families: &'a [Family<'a>]) -> (String, Vec<LeftOut>) {
        self.write_target(metrics);
        for family in families {
            let start = self.out.len();
            self.seen.clear();
            self.write_head(family);
            let head_end = self.out.len();
            for member in &family.members {
                self.write_member(family, member);
            }
            if self.out.len() == head_end {
                self.out.truncate(start);
            }
        }
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        (self.out, self.left_out)
    }

    /// The resource. Unlike Prometheus' default for OTLP, `service.name` and its like are kept: over OTLP they become
    /// `job` and `instance`, but on a scrape the scraper chooses those two, and the names would be lost.
    fn write_target(&mut self, metrics: &'a ResourceMetrics) {
        let attributes = metrics.resource().iter().map(|(key, value)| (key.as_str(), value));
        let left_out = &mut self.left_out;
        let labels = self.labels.render(attributes, &[], false, || {
            left_out.push(LeftOut { metric: "target_info".to_owned(), reason: Reason::NoLabelName });
        });
        if labels.is_empty() {
            return;
        }
        self.out.push_str(match self.format {
            Format::OpenMetrics => "# TYPE target info\n# HELP target Target metadata\n",
            Format::Text => "# HELP target_info Target metadata\n# TYPE target_info gauge\n",
        });
        self.out.push_str("target_info{");
        self.out.push_str(labels);
        self.out.push_str("} 1\n");
    }

    fn write_head(&mut self, family: &Family<'_>) {
        let open_metrics = self.format == Format::OpenMetrics;
        let name = if open_metrics { family.base() } else { &family.name };
        let word = if family.untyped { "unknown" } else { family.kind.word() };
        self.push_all(&["# TYPE ", name, " ", word, "\n"]);
        let unit = &family.unit;
        // Only a unit that the name ends with may be given, and the name may hold its unit elsewhere.
        let shows_unit = name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
        if open_metrics && !unit.is_empty() && shows_unit {
            self.push_all(&["# UNIT ", name, " ", unit, "\n"]);
        }
        if !family.help.is_empty() {
            self.push_all(&["# HELP ", name, " "]);
            if open_metrics {
                push_escaped(&mut self.out, family.help);
            } else {
                // Text 0.0.4 takes a quote as it is, and a backslash before it as a backslash.
                self.out.push_str(&family.help.replace('\\', r"\\").replace('\n', r"\n"));
            }
            self.out.push('\n');
        }
    }

    fn push_all(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.push_str(part);
        }
    }

    fn write_member(&mut self, family: &'a Family<'a>, member: &'a Member<'a>) {
        let may_have_exemplars = self.format == Format::OpenMetrics
            && !family.untyped
            && matches!(family.kind, Kind::Counter | Kind::Histogram);
        let exemplars =
            if may_have_exemplars { self.exemplars.of_metric(member.scope, member.metric.name()) } else { None };
        let place = Place { family, member, exemplars };
        match member.metric.data() {
            AggregatedMetrics::F64(data) => self.write_data(place, data),
            AggregatedMetrics::U64(data) => self.write_data(place, data),
            AggregatedMetrics::I64(data) => self.write_data(place, data),
        }
    }

    fn write_data<T: Number>(&mut self, place: Place<'a>, data: &'a MetricData<T>) {
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.write_number(place, || point.attributes(), point.value());
                }
            }
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    self.write_number(place, || point.attributes(), point.value());
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    self.write_histogram(place, point);
                }
            }
            // The plan has none of these.
            MetricData::ExponentialHistogram(_) => {}
        }
    }

    fn write_number<T: Number, A: Iterator<Item = &'a KeyValue>>(
        &mut self,
        place: Place<'a>,
        attributes: impl Fn() -> A,
        value: T,
    ) {
        let is_typed_counter =
            self.format == Format::OpenMetrics && place.family.kind == Kind::Counter && !place.family.untyped;
        let number = value.as_f64();
        if is_typed_counter && (number.is_nan() || number < 0.0) {
            self.leave_out(place, Reason::NotACount { value: number.to_string() });
            return;
        }
        if !self.start_series(place, attributes(), false) {
            return;
        }
        self.start_line(&place.family.name, "");
        value.push(&mut self.out);
        let newest = self.exemplars_of(place, attributes()).into_iter().max_by_key(|exemplar| exemplar.time);
        if let Some(exemplar) = newest {
            push_exemplar(&mut self.out, &exemplar);
        }
        self.out.push('\n');
    }

    /// Renders a series' labels into `seen.last()`; false when the family already has a series with the same ones.
    pub(super) fn start_series(
        &mut self,
        place: Place<'a>,
        attributes: impl Iterator<Item = &'a KeyValue>,
        is_histogram: bool,
    ) -> bool {
        let left_out = &mut self.left_out;
        let metric = place.member.metric.name();
        let pairs = attributes.map(|attribute| (attribute.key.as_str(), &attribute.value));
        let labels = self.labels.render(pairs, &place.member.scope_labels, is_histogram, || {
            left_out.push(LeftOut { metric: metric.to_owned(), reason: Reason::NoLabelName });
        });
        let is_new = self.seen.insert(labels);
        if !is_new {
            let reason = Reason::SameSeries { labels: labels.to_owned() };
            left_out.push(LeftOut { metric: metric.to_owned(), reason });
        }
        is_new
    }

    /// Writes a line of the series that was started last, up to its value.
    pub(super) fn start_line(&mut self, name: &str, suffix: &str) {
        let labels = self.seen.last();
        self.out.push_str(name);
        self.out.push_str(suffix);
        if !labels.is_empty() {
            self.out.push('{');
            self.out.push_str(labels);
            self.out.push('}');
        }
        self.out.push(' ');
    }

    pub(super) fn exemplars_of(
        &mut self,
        place: Place<'a>,
        attributes: impl Iterator<Item = &'a KeyValue>,
    ) -> Vec<Exemplar> {
        let Some(exemplars) = place.exemplars else { return Vec::new() };
        self.attributes.clear();
        self.attributes.extend(attributes);
        let mut found = exemplars.exemplars_of(&self.attributes, self.now);
        found.retain(|exemplar| !exemplar.value.is_nan());
        found
    }

    fn leave_out(&mut self, place: Place<'_>, reason: Reason) {
        self.left_out.push(LeftOut { metric: place.member.metric.name().to_owned(), reason });
    }
}

/// Appends ` # {trace_id="...",span_id="..."} value time`: 63 code points of labels, and OpenMetrics allows 128.
pub(super) fn push_exemplar(out: &mut String, exemplar: &Exemplar) {
    use std::fmt::Write as _;
    let Exemplar { trace_id, span_id, value, time } = exemplar;
    write!(out, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} ").expect("a String takes all text");
    value.push(out);
    out.push(' ');
    push_time(out, *time);
}
