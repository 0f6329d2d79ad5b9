use std::time::Duration;

use super::*;
use crate::snapshot::openmetrics::{Format, parse};

/// A page with these totals.
fn read(requests: u32, fast: u32, slow: u32) -> Reading {
    let (all, sum) = (fast + slow, 1.5 * f64::from(fast + slow));
    let page = format!(
        "# TYPE requests counter\nrequests_total{{code=\"500\"}} 1\nrequests_total{{code=\"200\"}} {requests}\n\
         requests_created 1.7e9\n# TYPE queue gauge\nqueue 7\n# TYPE took_seconds histogram\n# UNIT took_seconds seconds\n\
         took_seconds_bucket{{le=\"1.0\"}} {fast} # {{trace_id=\"0\"}} 0.05\ntook_seconds_bucket{{le=\"2.0\"}} {all}\n\
         took_seconds_bucket{{le=\"+Inf\"}} {all}\ntook_seconds_sum {sum}\ntook_seconds_count {all}\n# EOF\n"
    );
    Reading::new("http://lab/metrics".to_owned(), parse(Format::OpenMetrics, &page).unwrap())
}

fn json(reading: &Reading) -> serde_json::Value {
    serde_json::to_value(&reading.metrics).unwrap()
}

#[tokio::test]
async fn samples_are_grouped_by_metric_as_documented() {
    let expected = serde_json::json!([
        {"name": "queue", "kind": "gauge", "unit": null, "help": "", "series": [{"labels": {}, "value": 7.0}]},
        {"name": "requests_total", "kind": "counter", "unit": null, "help": "", "series": [
            {"labels": {"code": "200"}, "value": 5.0},
            {"labels": {"code": "500"}, "value": 1.0},
        ]},
        {"name": "took_seconds", "kind": "histogram", "unit": "seconds", "help": "", "series": [{
            "labels": {}, "count": 20.0, "sum": 30.0, "mean": 1.5, "exemplars": 1,
            "quantiles": [
                {"quantile": 0.5, "value": 1.0, "open": false},
                {"quantile": 0.95, "value": 1.9, "open": false},
                {"quantile": 0.99, "value": 1.0 + (0.99 * 20.0 - 10.0) / 10.0, "open": false},
            ],
        }]},
    ]);
    assert_eq!(json(&read(5, 10, 10)), expected);
    let mut none = read(5, 0, 0);
    none.keep(&["took".to_owned()]);
    assert_eq!(none.metrics.len(), 1);
    let none = json(&none);
    let series = &none[0]["series"][0];
    // JSON has no word for what is no number.
    assert!(series["mean"].is_null() && series["quantiles"][1]["value"].is_null(), "{series}");
}

#[tokio::test(start_paused = true)]
async fn rates_are_what_was_added_by_the_time_that_passed() {
    let before = read(5, 10, 10);
    tokio::time::advance(Duration::from_secs(4)).await;
    let mut after = read(25, 30, 10);
    after.compare(&before);
    let rates: Vec<_> =
        after.metrics.iter().flat_map(|metric| metric.series.iter().map(|one| one.per_second)).collect();
    assert_eq!(rates, [None, Some(5.0), Some(0.0), Some(5.0)], "a gauge has no rate");
    // The service was started anew: it counted what it has now.
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut anew = read(6, 2, 2);
    anew.compare(&after);
    assert_eq!(anew.metrics[1].series[0].per_second, Some(3.0));
    assert_eq!(anew.metrics[2].series[0].per_second, Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn what_is_new_or_of_the_same_moment_has_no_rate() {
    let mut before = read(5, 10, 10);
    let mut now = read(25, 10, 10);
    now.compare(&before);
    assert!(now.metrics.iter().flat_map(|one| &one.series).all(|one| one.per_second.is_none()));
    before.metrics[1].series.remove(0);
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut now = read(25, 10, 10);
    now.compare(&before);
    assert_eq!((now.metrics[1].series[0].per_second, now.metrics[1].series[1].per_second), (None, Some(0.0)));
}
