//! Names that differ from those Prometheus derives over OTLP: one metric would have two names, by its way in.

use crate::exposition::families::Kind::{self, Counter, Gauge, Histogram, UpDownCounter};
use crate::exposition::names::{label_name, metric_name};
use crate::exposition::units::unit_word;

#[test]
fn metric_names() {
    let table: &[(&str, &str, Kind, Option<&str>)] = &[
        ("http.server.request.duration", "s", Histogram, Some("http_server_request_duration_seconds")),
        ("http.server.active_requests", "{request}", UpDownCounter, Some("http_server_active_requests")),
        ("work.loop.iterations", "{iteration}", Counter, Some("work_loop_iterations_total")),
        ("process.cpu.time", "s", Counter, Some("process_cpu_time_seconds_total")),
        ("process.memory.usage", "By", UpDownCounter, Some("process_memory_usage_bytes")),
        // A unit or suffix that the name already has as a word is not repeated, wherever it stands.
        ("request.seconds.sum", "s", Gauge, Some("request_seconds_sum")),
        ("cpu.seconds", "s", Counter, Some("cpu_seconds_total")),
        ("jobs_total", "", Counter, Some("jobs_total")),
        ("total.jobs.total.done", "", Counter, Some("jobs_done_total")),
        ("total", "", Counter, Some("total")),
        ("total", "s", Counter, Some("seconds_total")),
        ("total", "", Gauge, Some("total")),
        ("subtotal", "", Counter, Some("subtotal_total")),
        ("ratio.of.hits", "1", Gauge, Some("of_hits_ratio")),
        ("hit", "1", Counter, Some("hit_total")),
        ("hit", "1", UpDownCounter, Some("hit")),
        ("hit", "1", Histogram, Some("hit")),
        ("used", "%", Gauge, Some("used_percent")),
        ("lag", "ms", Gauge, Some("lag_milliseconds")),
        ("disk.io", "By/s", Gauge, Some("disk_io_bytes_per_second")),
        ("disk.io.bytes", "By/s", Gauge, Some("disk_io_bytes_per_second")),
        ("disk.io.per_second", "By/s", Gauge, Some("disk_io_per_second_bytes_per_second")),
        ("rate", "{request}/s", Gauge, Some("rate_per_second")),
        ("rate", "1/s", Gauge, Some("rate_per_second")),
        ("rate", "/s", Gauge, Some("rate_per_second")),
        ("rate", "s/", Gauge, Some("rate_seconds")),
        ("rate", "By/{op}", Gauge, Some("rate_bytes")),
        ("rate", "m/s/s", Gauge, Some("rate_meters_per_s_s")),
        ("speed", "m/m", Gauge, Some("speed_meters_per_minute")),
        ("rate", " By / s ", Gauge, Some("rate_bytes_per_second")),
        ("x", "widgets", Gauge, Some("x_widgets")),
        ("x", "°C", Gauge, Some("x_C")),
        ("x", "a--b", Gauge, Some("x_a_b")),
        ("x", "a_", Gauge, Some("x_a_")),
        ("x", "a_/b_", Gauge, Some("x_a_per_b")),
        ("x", "/½", Gauge, Some("x")),
        ("x", "½", Gauge, Some("x")),
        ("x", "{annotated}By", Gauge, Some("x")),
        ("x", "S", Gauge, Some("x_S")),
        ("2xx.responses", "", Counter, Some("_2xx_responses_total")),
        ("a..b__c--d", "", Gauge, Some("a_b_c_d")),
        ("_leading.and.trailing_", "", Gauge, Some("leading_and_trailing")),
        ("ns:rule", "", Gauge, Some("ns:rule")),
        ("héllo", "", Gauge, Some("h_llo")),
        ("日本", "", Gauge, None),
        ("日本", "s", Gauge, Some("seconds")),
        ("___", "", Gauge, None),
        ("", "", Gauge, None),
        ("日本", "", Counter, Some("total")),
    ];
    for (name, unit, kind, expected) in table {
        assert_eq!(metric_name(name, unit, *kind).as_deref(), *expected, "{name:?} {unit:?} {kind:?}");
    }
}

#[test]
fn units_as_one_word() {
    for (unit, expected) in [
        ("d", "days"),
        ("h", "hours"),
        ("min", "minutes"),
        ("ms", "milliseconds"),
        ("us", "microseconds"),
        ("ns", "nanoseconds"),
        ("By", "bytes"),
        ("KiBy", "kibibytes"),
        ("MiBy", "mebibytes"),
        ("GiBy", "gibibytes"),
        ("TiBy", "tibibytes"),
        ("KBy", "kilobytes"),
        ("MBy", "megabytes"),
        ("GBy", "gigabytes"),
        ("TBy", "terabytes"),
        ("m", "meters"),
        ("V", "volts"),
        ("A", "amperes"),
        ("J", "joules"),
        ("W", "watts"),
        ("g", "grams"),
        ("Cel", "celsius"),
        ("Hz", "hertz"),
        ("%", "percent"),
        ("1/s", "per_second"),
        ("1/m", "per_minute"),
        ("1/h", "per_hour"),
        ("1/d", "per_day"),
        ("1/w", "per_week"),
        ("1/mo", "per_month"),
        ("1/y", "per_year"),
        ("s", "seconds"),
        ("By/s", "bytes_per_second"),
        ("1", ""),
        ("{request}", ""),
        ("{request}/s", "per_second"),
        ("_a_", "a"),
        ("KiBy/d", "kibibytes_per_day"),
        ("", ""),
    ] {
        assert_eq!(unit_word(unit), expected, "{unit:?}");
    }
}

#[test]
fn label_names() {
    for (name, expected) in [
        ("http.route", Some("http_route")),
        ("plain_name", Some("plain_name")),
        ("a..b", Some("a__b")),
        ("a--", Some("a__")),
        ("2xx", Some("key_2xx")),
        ("_private", Some("key_private")),
        (".private", Some("key_private")),
        ("ns:name", Some("ns_name")),
        ("größe", Some("gr__e")),
        ("_", Some("key_")),
        ("é", Some("key_")),
        // Prometheus gives the first three two leading underscores, which no page may have, and refuses the others.
        ("__reserved", Some("key__reserved")),
        ("__both__", Some("key__both__")),
        ("._x", Some("key__x")),
        ("__", Some("key__")),
        ("日本", Some("key__")),
        ("", None),
    ] {
        assert_eq!(label_name(name).as_deref(), expected, "{name:?}");
    }
}
