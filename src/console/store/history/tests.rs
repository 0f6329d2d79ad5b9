//! Catches: counts that are not the reader's, rates and quantiles that are not Prometheus', more bytes than allowed.

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::quantile::quantile;
use super::*;

const NOW: u64 = 1_700_000_000 * SECOND;

struct Rig {
    exporter: InMemoryMetricExporter,
    provider: SdkMeterProvider,
    history: History,
}

impl Rig {
    fn new(bytes: usize) -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider =
            SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
        Self { exporter, provider, history: History::new(bytes) }
    }

    fn meter(&self) -> opentelemetry::metrics::Meter {
        self.provider.meter("test")
    }

    fn collect(&self) -> ResourceMetrics {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_metrics().unwrap().pop().unwrap()
    }

    fn sample(&self, second: u64) {
        self.history.sample(&self.collect(), NOW + second * SECOND);
    }
}

fn range(from: u64, step: u64, columns: usize) -> Range {
    Range { from_unix_ns: NOW + from * SECOND, step_ns: step * SECOND, columns }
}

#[test]
fn a_histogram_is_counted_by_column_and_attributes() {
    let rig = Rig::new(1 << 20);
    let histogram = rig.meter().f64_histogram("h").with_unit("s").with_boundaries(vec![1.0, 2.0]).build();
    let (a, b) = ([KeyValue::new("k", "a"), KeyValue::new("c", 1)], [KeyValue::new("k", "b"), KeyValue::new("c", 1)]);
    histogram.record(0.5, &a);
    rig.sample(1);
    for value in [1.0, 1.5, 7.0] {
        histogram.record(value, &a);
    }
    histogram.record(2.0, &b);
    rig.sample(2);
    rig.sample(3);
    histogram.record(9.0, &b);
    rig.sample(4);
    let of = |attributes: &[(&str, &str)], range| {
        let attributes: Vec<_> = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        rig.history.distribution("h", &attributes, range).unwrap()
    };
    let all = of(&[], range(0, 1, 4));
    assert_eq!(all.counts, [vec![1, 0, 0], vec![1, 2, 1], vec![0, 0, 0], vec![0, 0, 1]]);
    assert_eq!((&all.bounds[..], &all.sums[..]), (&[1.0, 2.0][..], &[0.5, 11.5, 0.0, 9.0][..]));
    assert_eq!(all.total(), [2, 2, 2]);
    assert_eq!(of(&[("k", "a")], range(0, 1, 4)).total(), [2, 1, 1]);
    assert_eq!(of(&[("k", "a"), ("c", "1")], range(0, 2, 2)).counts, [vec![2, 1, 1], vec![0, 0, 0]]);
    assert_eq!(of(&[("k", "x")], range(0, 2, 2)).total(), [0, 0, 0]);
    assert_eq!(of(&[], range(0, 2, 2)).rates().collect::<Vec<_>>(), [2.5, 0.5]);
    assert_eq!(of(&[], range(1, 1, 1)).total(), [1, 2, 1], "a column has its end and not its start");
    assert_eq!(rig.history.since_start("h", &[]), Some((vec![2, 2, 2], 21.0)));
    assert_eq!(rig.history.distribution("no", &[], range(0, 1, 1)), None);
    let instrument = &rig.history.instruments()[0];
    assert_eq!((&*instrument.unit, instrument.kind, instrument.series.len()), ("s", MetricKind::Histogram, 2));
    let _silent = histogram.bind(&[KeyValue::new("k", "silent")]);
    rig.sample(5);
    assert_eq!(rig.history.counted("h").len(), 2);
    let groups = rig.history.grouped("h", &["k"], range(0, 1, 4));
    let counted = groups.iter().filter(|(_, of)| of.total() != [0, 0, 0]);
    let groups: Vec<_> = counted.map(|(values, of)| (values[0].as_str(), of.total())).collect();
    assert_eq!(groups, [("a", vec![2, 1, 1]), ("b", vec![0, 1, 1])]);
}

#[test]
fn counters_grow_and_gauges_stay() {
    let rig = Rig::new(1 << 20);
    let counter = rig.meter().u64_counter("c").build();
    let gauge = rig.meter().i64_gauge("g").build();
    counter.add(5, &[]);
    gauge.record(3, &[]);
    rig.sample(1);
    rig.sample(2);
    counter.add(2, &[]);
    gauge.record(-1, &[]);
    rig.sample(3);
    let values = |name, range| rig.history.values(name, &[], range).unwrap();
    assert_eq!(values("c", range(0, 1, 4)), [5.0, 0.0, 2.0, 0.0]);
    assert_eq!(values("g", range(0, 1, 4)), [3.0, 3.0, -1.0, -1.0]);
    assert_eq!(values("g", range(1, 2, 1)), [-1.0]);
    assert_eq!(rig.history.values("h", &[], range(0, 1, 1)), None);
    rig.sample(1 + WINDOW_S + 1);
    assert_eq!(values("c", range(0, 4, 1)), [2.0], "the first point is too old");
    assert_eq!(values("g", range(0, 1, 3)), [3.0, 3.0, -1.0], "and what it said still holds");
}

/// The first cases of Prometheus' own tests of `histogram_quantile` (promqltest, `histograms.test`).
#[test]
fn quantiles_are_those_of_prometheus() {
    let positive = |q| quantile(&[0.1, 0.2, 1.0], &[5, 2, 4, 1], q);
    let negative = |q| quantile(&[-0.2, -0.1, 0.3], &[1, 1, 0, 1], q);
    let close = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?}");
    for (q, expected) in [(0.0, 0.0), (0.2, 0.048), (0.5, 0.15), (0.8, 0.72), (1.0, 1.0)] {
        close(positive(q), expected);
    }
    for (q, expected) in [(0.0, -0.2), (0.2, -0.2), (0.5, -0.15), (0.8, 0.3), (1.0, 0.3)] {
        close(negative(q), expected);
    }
    assert_eq!(quantile(&[1.0], &[0, 0], 0.5), None);
    assert_eq!(quantile(&[], &[3], 0.5), None);
}

#[test]
fn columns_are_aligned_and_complete() {
    let range = Range::ending(NOW + 7, 5, 3);
    assert_eq!((range.from_unix_ns, range.end(2)), (NOW - 5, NOW + 10));
    assert_eq!(range.column(NOW - 5), None);
    assert_eq!([NOW - 4, NOW, NOW + 1, NOW + 10].map(|at| range.column(at)), [Some(0), Some(0), Some(1), Some(2)]);
    assert_eq!(range.column(NOW + 11), None);
}

#[test]
fn when_the_bytes_are_used_up_the_oldest_points_go_and_no_series_is_added() {
    let rig = Rig::new(200 << 10);
    let histogram = rig.meter().f64_histogram("h").build();
    for second in 1..=900 {
        for series in 0..20 {
            histogram.record(1.0, &[KeyValue::new("s", series)]);
        }
        rig.sample(second);
    }
    let (bytes, limit, left_out) = rig.history.room();
    assert!(bytes <= limit && bytes > limit / 2 && left_out == 0, "{bytes} of {limit}, {left_out}");
    let of_all = rig.history.distribution("h", &[], range(0, 900, 1)).unwrap().total().iter().sum::<u64>();
    let newest = rig.history.distribution("h", &[], range(890, 10, 1)).unwrap().total().iter().sum::<u64>();
    assert!(of_all < 20 * 900 && newest == 20 * 10, "{of_all} {newest}");
    assert_eq!(rig.history.since_start("h", &[]).unwrap().1, 20.0 * 900.0);
    for series in 0..1_500 {
        histogram.record(1.0, &[KeyValue::new("s", 100 + series)]);
    }
    rig.sample(901);
    let (bytes, limit, left_out) = rig.history.room();
    assert!(bytes <= limit && left_out > 0, "{bytes} of {limit}, {left_out}");
}
