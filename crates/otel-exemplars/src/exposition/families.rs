//! Which series names a page has, who writes them, and which metrics have to share one.

use std::collections::{HashMap, HashSet};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};

use super::Format;
use super::left_out::{LeftOut, Reason};
use super::names::metric_name;
use super::scopes::{self, ScopeLabel};
use super::units::unit_word;

/// What a metric is to a reader of the page. Two kinds with one [`Kind::word`] may share a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    UpDownCounter,
    Histogram,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::UpDownCounter => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric of one scope within a family.
pub(super) struct Member<'a> {
    pub(super) scope: &'a InstrumentationScope,
    pub(super) metric: &'a Metric,
    /// Labels that tell this scope's series from another's; empty in a family of one scope.
    pub(super) scope_labels: Vec<ScopeLabel<'a>>,
}

/// All series of one name.
pub(super) struct Family<'a> {
    /// The name of the series, with `_total` for a counter.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unit: String,
    pub(super) help: &'a str,
    /// An OpenMetrics counter whose name without `_total` belongs to another family: it goes without its type.
    pub(super) untyped: bool,
    pub(super) members: Vec<Member<'a>>,
}

impl Family<'_> {
    /// The name that OpenMetrics gives the family.
    pub(super) fn base(&self) -> &str {
        match self.kind {
            Kind::Counter if !self.untyped => self.name.strip_suffix("_total").unwrap_or(&self.name),
            _ => &self.name,
        }
    }

    /// Every name that the family's samples may have in this format, `_created` included, which is not written.
    fn names(&self, format: Format) -> Vec<String> {
        let suffixes: &[&str] = match (format, self.kind) {
            (_, Kind::Gauge | Kind::UpDownCounter) => &[""],
            (Format::OpenMetrics, Kind::Counter) if !self.untyped => &["", "_total", "_created"],
            (_, Kind::Counter) => &[""],
            (Format::OpenMetrics, Kind::Histogram) => &["", "_bucket", "_count", "_sum", "_created"],
            (Format::Text, Kind::Histogram) => &["", "_bucket", "_count", "_sum"],
        };
        let base = if format == Format::OpenMetrics { self.base() } else { &self.name };
        suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
    }
}

/// Sorts the metrics into families, in the order of their first appearance, and leaves out what clashes.
///
/// Scopes come by name, as the SDK keeps them in a hash map: whatever "first" decides is the same on every page.
pub(super) fn plan<'a>(format: Format, metrics: &'a ResourceMetrics, left_out: &mut Vec<LeftOut>) -> Vec<Family<'a>> {
    let mut families: Vec<Family<'a>> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut scopes: Vec<_> = metrics.scope_metrics().collect();
    scopes.sort_by_key(|one| (one.scope().name(), one.scope().version(), one.scope().schema_url()));
    for scope_metrics in scopes {
        for metric in scope_metrics.metrics() {
            let mut leave = |reason| left_out.push(LeftOut { metric: metric.name().to_owned(), reason });
            let kind = match kind(metric) {
                Ok(kind) => kind,
                Err(reason) => {
                    leave(reason);
                    continue;
                }
            };
            let Some(name) = metric_name(metric.name(), metric.unit(), kind) else {
                leave(Reason::NoName);
                continue;
            };
            let member = Member { scope: scope_metrics.scope(), metric, scope_labels: Vec::new() };
            match by_name.get(&name) {
                Some(&at) if families[at].kind.word() == kind.word() => {
                    let family = &mut families[at];
                    if family.help.is_empty() {
                        family.help = metric.description();
                    }
                    family.members.push(member);
                }
                Some(_) => leave(Reason::OtherType { name }),
                None => {
                    by_name.insert(name.clone(), families.len());
                    let unit = unit_word(metric.unit());
                    families.push(Family {
                        name,
                        kind,
                        unit,
                        help: metric.description(),
                        untyped: false,
                        members: vec![member],
                    });
                }
            }
        }
    }
    settle_names(format, &mut families, left_out);
    for family in &mut families {
        scopes::tell_apart(&mut family.members);
    }
    families
}

/// No two families may have a sample name in common. Counters come last, as they can give way without a loss.
fn settle_names(format: Format, families: &mut Vec<Family<'_>>, left_out: &mut Vec<LeftOut>) {
    let mut taken: HashSet<String> = ["target_info".to_owned()].into();
    if format == Format::OpenMetrics {
        taken.insert("target".to_owned());
    }
    let mut free = vec![true; families.len()];
    for counters in [false, true] {
        for (family, free) in families.iter_mut().zip(&mut free) {
            if (family.kind == Kind::Counter) != counters {
                continue;
            }
            let mut leave =
                |reason| left_out.push(LeftOut { metric: family.members[0].metric.name().to_owned(), reason });
            let clash = |names: &[String]| names.iter().find(|name| taken.contains(*name)).cloned();
            let mut names = family.names(format);
            // A counter called just "total" has no name without its suffix.
            let nameless = family.kind == Kind::Counter && !family.name.ends_with("_total");
            if format == Format::OpenMetrics && counters && (nameless || clash(&names).is_some()) {
                family.untyped = true;
                names = family.names(format);
                if clash(&names).is_none() {
                    leave(Reason::Untyped { name: family.name.clone() });
                }
            }
            if let Some(name) = clash(&names) {
                leave(Reason::NameTaken { name });
                *free = false;
            } else {
                taken.extend(names);
            }
        }
    }
    let mut free = free.into_iter();
    families.retain(|_| free.next().unwrap_or(true));
}

fn kind(metric: &Metric) -> Result<Kind, Reason> {
    match metric.data() {
        AggregatedMetrics::F64(data) => data_kind(data),
        AggregatedMetrics::U64(data) => data_kind(data),
        AggregatedMetrics::I64(data) => data_kind(data),
    }
}

fn data_kind<T>(data: &MetricData<T>) -> Result<Kind, Reason> {
    let (kind, temporality) = match data {
        MetricData::Gauge(_) => (Kind::Gauge, Temporality::Cumulative),
        MetricData::Sum(sum) if sum.is_monotonic() => (Kind::Counter, sum.temporality()),
        MetricData::Sum(sum) => (Kind::UpDownCounter, sum.temporality()),
        MetricData::Histogram(histogram) => (Kind::Histogram, histogram.temporality()),
        MetricData::ExponentialHistogram(_) => return Err(Reason::ExponentialHistogram),
    };
    if temporality == Temporality::Cumulative { Ok(kind) } else { Err(Reason::DeltaTemporality) }
}
