//! Random metrics, with names close enough to each other to collide.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use proptest::prelude::*;
use proptest::sample::select;

use super::rig::{Fake, collect_with, exemplar};

/// Names that come to share a family, or each other's sample names.
const NAMES: [&str; 11] =
    ["x", "x.total", "x_count", "x.sum", "x.bucket", "x_created", "target", "target.info", "total", "x.y", "x_y"];

/// What a careless writer lets through.
const TEXTS: [&str; 13] =
    ["", "a", "GET", "say \"hi\"", "back\\slash", "line\nend", "\\n", "\\", "\"", "# EOF\n", "} 1", "a;b", " x "];

const KEYS: [&str; 12] = [
    "a",
    "http.route",
    "http_route",
    "http-route",
    "le",
    "exported_le",
    "1st",
    "_x",
    "__name__",
    "__",
    "quantile",
    "job",
];

#[derive(Clone, Copy, Debug)]
pub(super) enum Instrument {
    Counter,
    FloatCounter,
    UpDownCounter,
    Gauge,
    Histogram,
}

#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) scope: usize,
    pub(super) instrument: Instrument,
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) help: String,
    pub(super) bounds: Vec<f64>,
    pub(super) points: Vec<(Vec<KeyValue>, Vec<f64>)>,
    pub(super) has_exemplars: bool,
}

pub(super) fn specs() -> impl Strategy<Value = Vec<Spec>> {
    proptest::collection::vec(spec(), 1..12)
}

fn spec() -> impl Strategy<Value = Spec> {
    use Instrument::{Counter, FloatCounter, Gauge, Histogram, UpDownCounter};
    let instrument = select(vec![Counter, FloatCounter, UpDownCounter, Gauge, Histogram, Histogram]);
    let name = prop_oneof![
        3 => select(NAMES.to_vec())
            .prop_map(str::to_owned),
        2 => "[a-zA-Z][a-zA-Z0-9_./-]{0,12}",
    ];
    let unit = prop_oneof![
        2 => Just(String::new()),
        3 => select(vec!["s", "By", "1", "%", "{request}", "By/s", "1/s", "ms", "m/m", "S"]).prop_map(str::to_owned),
        1 => "[ -~]{0,10}",
    ];
    let bounds = prop_oneof![
        Just(vec![]),
        Just(vec![0.005, 0.01, 1.0, 2.5, 1e6]),
        Just(vec![-5.0, -0.5, 0.0, 7.0]),
        proptest::collection::btree_set(-1_000_000_i32..1_000_000, 1..6)
            .prop_map(|set| set.into_iter().map(|bound| f64::from(bound) / 1000.0).collect()),
    ];
    let points = proptest::collection::vec((attributes(), proptest::collection::vec(value(), 1..5)), 1..4);
    let strategy = (0..3_usize, instrument, name, unit, text(), bounds, points, any::<bool>());
    strategy.prop_map(|(scope, instrument, name, unit, help, bounds, points, has_exemplars)| Spec {
        scope,
        instrument,
        name,
        unit,
        help,
        bounds,
        points,
        has_exemplars,
    })
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => select(vec![0.0, 1.0, 0.5, -1.0, 3.25, 1e6, 0.005, -0.5, 1e300, 1e-9]),
        2 => -1000.0..1000.0_f64,
        1 => proptest::num::f64::ANY,
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(TEXTS.to_vec())
            .prop_map(str::to_owned),
        1 => "[ -~\\n\\r\\t\\\\\"äö😀\u{2028}\u{7f}]{0,12}",
        1 => "\\PC{0,8}",
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        3 => select(KEYS.to_vec())
            .prop_map(str::to_owned),
        1 => "[a-z.]{1,6}",
        1 => "\\PC{0,4}",
    ];
    let value = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => proptest::num::f64::ANY.prop_map(Value::from),
        1 => proptest::collection::vec(text(), 0..3)
            .prop_map(|texts| Value::Array(Array::String(texts.into_iter().map(Into::into).collect()))),
        1 => proptest::collection::vec(proptest::num::f64::ANY, 0..3)
            .prop_map(|floats| Value::Array(Array::F64(floats))),
    ];
    proptest::collection::vec((key, value).prop_map(|(key, value)| KeyValue::new(key, value)), 0..4)
}

type Record = Box<dyn Fn(f64, &[KeyValue])>;

/// Records everything; exemplars get values that were recorded.
pub(super) fn record(specs: &[Spec], resource: &[KeyValue]) -> (ResourceMetrics, Fake) {
    let scopes = [
        InstrumentationScope::builder("one").build(),
        InstrumentationScope::builder("two").with_version("1").build(),
        InstrumentationScope::builder("two").with_version("2").build(),
    ];
    let mut fake = Fake::default();
    let resource = Resource::builder_empty().with_attributes(resource.to_vec()).build();
    let metrics = collect_with(
        Temporality::Cumulative,
        |builder| builder.with_resource(resource),
        |provider| {
            for spec in specs {
                let meter = provider.meter_with_scope(scopes[spec.scope].clone());
                let (name, unit, help) = (spec.name.clone(), spec.unit.clone(), spec.help.clone());
                macro_rules! built {
                    ($builder:ident) => {
                        meter.$builder(name).with_unit(unit).with_description(help).build()
                    };
                }
                let record: Record = match spec.instrument {
                    Instrument::Counter => {
                        let counter = built!(u64_counter);
                        Box::new(move |value, attributes| counter.add(whole(value).unsigned_abs(), attributes))
                    }
                    Instrument::FloatCounter => {
                        let counter = built!(f64_counter);
                        Box::new(move |value, attributes| counter.add(value, attributes))
                    }
                    Instrument::UpDownCounter => {
                        let counter = built!(i64_up_down_counter);
                        Box::new(move |value, attributes| counter.add(whole(value), attributes))
                    }
                    Instrument::Gauge => {
                        let gauge = built!(f64_gauge);
                        Box::new(move |value, attributes| gauge.record(value, attributes))
                    }
                    Instrument::Histogram => {
                        let builder = meter.f64_histogram(name).with_unit(unit).with_description(help);
                        let histogram = builder.with_boundaries(spec.bounds.clone()).build();
                        Box::new(move |value, attributes| histogram.record(value, attributes))
                    }
                };
                for (attributes, values) in &spec.points {
                    values.iter().for_each(|value| record(*value, attributes));
                }
                if spec.has_exemplars {
                    let values = spec.points.iter().flat_map(|(_, values)| values).zip(1..);
                    fake.0.insert(spec.name.clone(), values.map(|(value, id)| exemplar(*value, id)).collect());
                }
            }
        },
    );
    (metrics, fake)
}

/// Small enough that sums do not overflow.
#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn whole(value: f64) -> i64 {
    if value.is_nan() { 0 } else { value.clamp(-1e15, 1e15) as i64 }
}
