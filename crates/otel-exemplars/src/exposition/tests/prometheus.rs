//! Catches a series that Prometheus calls one thing when it scrapes the page and another when the same metrics come
//! over OTLP, and pages that its own parsers refuse. Talks to the real programs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use prost::Message as _;

use super::foreign::{Folder, variable};
use super::reader::{BROKEN, LabelSet, sample};
use super::rig::{Fake, collect_with, exemplar, open_metrics, text, write};
use super::server::{Pages, Prometheus, until};
use crate::exposition::Format;

const NAMES: [&str; 24] = [
    "plain",
    "dotted.name",
    "under_score",
    "da-sh",
    "sla/sh",
    "do..uble",
    "tri___ple",
    "mixed._-./end",
    "trailing_",
    "trailing.",
    "Upper.Case",
    "9digits.2xx",
    "x.total",
    "total.x",
    "x.total.total",
    "x.seconds",
    "seconds.x",
    "x.bytes",
    "x.ratio",
    "ratio.x",
    "x.percent",
    "x.per_second",
    "x.bytes.per.second",
    "x.count",
];

const UNITS: [&str; 48] = [
    "",
    "s",
    "ms",
    "us",
    "ns",
    "min",
    "h",
    "d",
    "By",
    "KiBy",
    "MBy",
    "1",
    "%",
    "{request}",
    "{a}By",
    "By/s",
    "{request}/s",
    "1/s",
    "/s",
    "s/",
    "m/m",
    "m/s/s",
    "By/{op}",
    " By / s ",
    "Cel",
    "widgets",
    "a--b",
    "a_",
    "a_/b_",
    "-",
    "MiBy",
    "GiBy",
    "TiBy",
    "KBy",
    "GBy",
    "TBy",
    "m",
    "V",
    "A",
    "J",
    "W",
    "g",
    "Hz",
    "1/h",
    "1/d",
    "1/w",
    "1/mo",
    "1/y",
];

/// None has a NaN: it equals nothing, so to the SDK each record with one is a new series.
fn attribute_sets() -> Vec<Vec<KeyValue>> {
    let set = |attributes: &[(&'static str, Value)]| -> Vec<KeyValue> {
        attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect()
    };
    let strings = Array::String(vec!["a\"\\\n<&>\u{2028}\u{1}\u{8}".into(), "ö😀".into()]);
    vec![
        vec![],
        set(&[("http.route", "/a/{id}".into()), ("http.response.status_code", 200.into()), ("ok", true.into())]),
        set(&[("a", "quote \" back\\slash line\nend\ttab\rreturn".into()), ("b", "äöü 😀 \u{2028}\u{7f}".into())]),
        set(&[("1st", "x".into()), ("_private", "y".into()), (".dot", "z".into()), ("é", "w".into())]),
        set(&[("a..b", "x".into()), ("a--", "y".into()), ("ns:name", "z".into()), ("größe", "w".into())]),
        set(&[("c_c", "3".into()), ("c-c", "1".into()), ("c.c", "2".into()), ("c/c", "".into())]),
        set(&[("d-d", "".into()), ("d.d", "2".into()), ("e-e", "1".into()), ("e.e", "".into()), ("gone", "".into())]),
        set(&[("f", 0.1.into()), ("g", 1e21.into()), ("h", 1e-7.into()), ("i", 2.0.into()), ("j", (-0.0).into())]),
        set(&[("g", f64::INFINITY.into()), ("h", f64::NEG_INFINITY.into()), ("i", 1e20.into())]),
        set(&[("k", Value::Array(strings)), ("l", Value::Array(Array::F64(vec![0.5, 1e21, 1e-7, 3.0])))]),
        set(&[
            ("m", Value::Array(Array::I64(vec![]))),
            ("n", Value::Array(Array::F64(vec![f64::INFINITY]))),
            ("o", i64::MIN.into()),
        ]),
        set(&[
            ("__name__", "other".into()),
            ("quantile", "0.5".into()),
            ("p", "# EOF".into()),
            ("q", "nul\0nul".into()),
        ]),
    ]
}

/// Every name with every unit as every instrument. A number in front keeps the names apart.
fn table() -> (ResourceMetrics, Fake) {
    let resource = Resource::builder_empty().with_service_name("otlp").with_attributes([
        KeyValue::new("host.name", "a\"b\\c\nd"),
        KeyValue::new("os.type", Value::Array(Array::I64(vec![1, 2]))),
    ]);
    let sets = attribute_sets();
    let mut exemplars = Fake::default();
    let metrics = collect_with(
        Temporality::Cumulative,
        |builder| builder.with_resource(resource.build()),
        |provider| {
            let meter = provider.meter("table");
            for (index, (name, unit)) in
                NAMES.iter().flat_map(|name| UNITS.iter().map(move |unit| (name, unit))).enumerate()
            {
                let attributes = &sets[index % sets.len()];
                record(&meter, &|letter| format!("{letter}{index}.{name}"), unit, attributes);
                exemplars.0.insert(format!("h{index}.{name}"), vec![exemplar(0.25, 1), exemplar(3.0, 2)]);
                exemplars.0.insert(format!("c{index}.{name}"), vec![exemplar(3.0, 3)]);
            }
            for unit in ["s", "By/s"] {
                meter.u64_counter("total").with_unit(unit).build().add(1, &[]);
            }
        },
    );
    (metrics, exemplars)
}

fn record(meter: &Meter, name: &dyn Fn(char) -> String, unit: &'static str, attributes: &[KeyValue]) {
    meter.u64_counter(name('c')).with_unit(unit).build().add(3, attributes);
    meter.i64_up_down_counter(name('u')).with_unit(unit).build().add(-7, attributes);
    meter
        .f64_gauge(name('g'))
        .with_unit(unit)
        .with_description("A \"gauge\"\\\nhere")
        .build()
        .record(1.5e-7, attributes);
    let histogram =
        meter.f64_histogram(name('h')).with_unit(unit).with_boundaries(vec![0.25, 1.0, 2_500_000.0]).build();
    [0.25, 3.0, 1e10].iter().for_each(|value| histogram.record(*value, attributes));
}

type Series = BTreeMap<(String, LabelSet), f64>;

/// What Prometheus stored for a job, without what names the job, and with bounds as numbers.
fn stored(federated: &str, job: &str) -> Series {
    let mut series = Series::new();
    for line in federated.lines().filter(|line| !line.starts_with('#')) {
        let (line, _time) = line.rsplit_once(' ').unwrap();
        let mut sample = sample(line).unwrap();
        if sample.labels.remove("job").as_deref() != Some(job) {
            continue;
        }
        sample.labels.remove("instance");
        if let Some(le) = sample.labels.get_mut("le") {
            *le = format!("{:?}", le.parse::<f64>().unwrap());
        }
        series.insert((sample.name, sample.labels), sample.value);
    }
    series.retain(|(name, _), _| name != "up" && !name.starts_with("scrape_"));
    series
}

#[test]
fn prometheus_calls_each_series_the_same_whether_scraped_or_sent_over_otlp() {
    let (metrics, exemplars) = table();
    let (page, left_out) = write(Format::OpenMetrics, &metrics, &exemplars);
    assert_eq!(left_out, []);
    let pages = Pages::serve(page.clone(), text(&metrics));
    let folder = Folder::new("prometheus");
    let prometheus = Prometheus::start(&variable("OTEL_EXEMPLARS_PROMETHEUS"), &folder.0, pages.address());
    let request = ExportMetricsServiceRequest::from(&metrics).encode_to_vec();
    let (status, answer) = prometheus.post("/api/v1/otlp/v1/metrics", "application/x-protobuf", &request);
    assert_eq!(status, 200, "{answer}");
    let everything = "/federate?match%5B%5D=%7B__name__%3D~%22.%2B%22%7D";
    let federated = until("both pages are scraped", || {
        let federated = prometheus.get(everything).1;
        let is_up = |job: &str| {
            federated.lines().any(|line| line.starts_with("up{") && line.contains(job) && line.contains("} 1 "))
        };
        (is_up("job=\"om\"") && is_up("job=\"text\"")).then_some(federated)
    });
    assert_eq!(
        pages.served(),
        BTreeSet::from([("/om".to_owned(), Format::OpenMetrics), ("/text".to_owned(), Format::Text)])
    );

    let otlp = stored(&federated, "otlp");
    // Four instruments, of which a histogram has six series; two more counters and the target.
    assert_eq!(otlp.len(), NAMES.len() * UNITS.len() * (3 + 6) + 3);
    for job in ["om", "text"] {
        let scraped = stored(&federated, job);
        let only = |a: &Series, b: &Series| -> Vec<String> {
            a.iter().filter(|(key, value)| b.get(*key) != Some(value)).take(5).map(|one| format!("{one:?}")).collect()
        };
        let (only_otlp, only_scraped) = (only(&otlp, &scraped), only(&scraped, &otlp));
        assert!(
            only_otlp.is_empty() && only_scraped.is_empty(),
            "{job}: otlp {only_otlp:#?} scraped {only_scraped:#?}"
        );
    }

    let on_page = page.matches("# {trace_id").count();
    assert_eq!(on_page, NAMES.len() * UNITS.len() * 3);
    let query = "/api/v1/query_exemplars?query=%7Bjob%3D%22om%22%7D&start=1699999999&end=1700000001";
    let (status, answer) = prometheus.get(query);
    assert_eq!((status, answer.matches("\"trace_id\"").count()), (200, on_page));
    println!("{} series and {on_page} exemplars are the same", otlp.len());
}

#[test]
fn promtool_reads_the_text_page_and_refuses_broken_ones() {
    let (metrics, _) = table();
    // 3 is promtool's exit code for advice, such as a help text that it misses; 1 is for what it cannot read.
    assert!(matches!(promtool(&text(&metrics)), 0 | 3));
    let broken = BROKEN.iter().find(|page| page.contains("b.c=")).unwrap();
    assert_eq!(promtool(broken), 1);
    assert_eq!(promtool("# TYPE a gauge\na{b=\"c\"d\"} 1\n"), 1);
    assert!(open_metrics(&metrics).ends_with("# EOF\n"));
}

fn promtool(page: &str) -> i32 {
    let folder = Folder::new("promtool");
    let path = folder.0.join("page");
    std::fs::write(&path, page).unwrap();
    let mut command = Command::new(variable("OTEL_EXEMPLARS_PROMTOOL"));
    command.args(["check", "metrics"]).stdin(std::fs::File::open(path).unwrap()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().unwrap().code().unwrap()
}
