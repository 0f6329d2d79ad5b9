//! A reading in a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::amount::{amount, labels, printable};
use crate::snapshot::quantile::Quantile;
use crate::snapshot::reading::{Distribution, Metric, Reading, Series, Value};

/// Cells after the first one are as wide as the widest amounts.
const CELL: usize = 12;

/// The first cell is no wider than this: longer names have a line of their own.
const NAME: usize = 44;

/// A block for each kind of metric, and in it each metric with its series.
pub(super) fn table(reading: &Reading) -> String {
    let mut kinds = BTreeMap::<&str, Vec<&Metric>>::new();
    for metric in &reading.metrics {
        kinds.entry(&metric.kind).or_default().push(metric);
    }
    let series: usize = reading.metrics.iter().map(|metric| metric.series.len()).sum();
    let (url, time, metrics) = (&reading.url, &reading.time, reading.metrics.len());
    let mut text = format!("{url} at {time}, metrics: {metrics}, series: {series}\n");
    for (kind, metrics) in kinds {
        let rows: Vec<_> = metrics.iter().flat_map(|metric| rows(metric)).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(NAME);
        text.push('\n');
        let heads = heads(kind, rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or_default());
        for (name, cells) in std::iter::once((printable(&kind.to_uppercase()), heads)).chain(rows) {
            let cells: String = cells.iter().map(|cell| format!("  {cell:>CELL$}")).collect();
            let (long, name) =
                if name.chars().count() > width { (name + "\n", String::new()) } else { (String::new(), name) };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{long}{}", format!("{name:<width$}{cells}").trim_end());
        }
    }
    text
}

/// The titles of so many cells.
fn heads(kind: &str, cells: usize) -> Vec<String> {
    let heads: &[&str] = match kind {
        "histogram" => &["COUNT", "MEAN", "P50", "P95", "P99", "EXEMPLARS", "PER SECOND"],
        "counter" => &["TOTAL", "PER SECOND"],
        _ => &["VALUE"],
    };
    heads.iter().take(cells).map(|head| (*head).to_owned()).collect()
}

type Row = (String, Vec<String>);

/// A row for each series; the name has one of its own where all have labels.
fn rows(metric: &Metric) -> Vec<Row> {
    let unit = metric.unit.as_deref().unwrap_or_default();
    let name = printable(&metric.name);
    let mut rows = Vec::new();
    // The one without labels comes first.
    if metric.series.first().is_some_and(|series| !series.labels.is_empty()) {
        rows.push((name.clone(), Vec::new()));
    }
    for series in &metric.series {
        let name = if series.labels.is_empty() { name.clone() } else { format!("  {}", labels(&series.labels)) };
        rows.push((name, cells(series, unit)));
    }
    rows
}

fn cells(series: &Series, unit: &str) -> Vec<String> {
    let mut cells = match &series.value {
        Value::Number { value } => vec![amount(*value, unit)],
        Value::Histogram(Distribution { count, mean, quantiles, exemplars, .. }) => {
            let mut cells = vec![amount(*count, ""), amount(*mean, unit)];
            cells.extend(quantiles.iter().map(|one| bound(one, unit)));
            cells.push(exemplars.to_string());
            cells
        }
    };
    // Seconds per second and records per second are plain numbers.
    let unit = if unit == "bytes" && matches!(series.value, Value::Number { .. }) { unit } else { "" };
    cells.extend(series.per_second.map(|rate| amount(rate, unit)));
    cells
}

fn bound(quantile: &Quantile, unit: &str) -> String {
    let above = if quantile.open { ">" } else { "" };
    format!("{above}{}", amount(quantile.value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::openmetrics::{Format, parse};

    const PAGE: &str = "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
        a_seconds_bucket{p=\"x\",le=\"0.1\"} 1 # {trace_id=\"0\"} 0.05 1.0\na_seconds_bucket{p=\"x\",le=\"+Inf\"} 2\n\
        a_seconds_sum{p=\"x\"} 3\na_seconds_count{p=\"x\"} 2\n\
        # TYPE b_bytes counter\n# UNIT b_bytes bytes\nb_bytes_total 2048\n# TYPE c gauge\nc 7\nc{d=\"e\u{1b}\"} 0.5\n# EOF\n";

    fn shown(watch: bool) -> String {
        let read = || Reading::new("http://lab/metrics".to_owned(), parse(Format::OpenMetrics, PAGE).unwrap());
        let mut reading = read();
        if watch {
            reading
                .metrics
                .iter_mut()
                .flat_map(|metric| &mut metric.series)
                .for_each(|one| one.per_second = Some(1024.0));
        }
        reading.time = "2026-01-31T12:00:00Z".to_owned();
        table(&reading)
    }

    #[test]
    fn each_kind_has_its_block_and_nothing_steers_the_terminal() {
        let expected = "http://lab/metrics at 2026-01-31T12:00:00Z, metrics: 3, series: 4\n\
            \nCOUNTER               TOTAL\nb_bytes_total         2 KiB\n\
            \nGAUGE                 VALUE\nc                         7\n  d=\"e\\u{1b}\"           0.5\n\
            \nHISTOGRAM         COUNT          MEAN           P50           P95           P99     EXEMPLARS\na_seconds\n  \
            p=\"x\"               2        1.50 s        100 ms       >100 ms       >100 ms             1\n";
        assert_eq!(shown(false), expected);
    }

    #[test]
    fn long_labels_have_a_line_of_their_own() {
        let label = "x".repeat(50);
        let page = format!("# TYPE a gauge\na{{b=\"{label}\"}} 1\na{{b=\"c\"}} 2\n# EOF\n");
        let text = table(&Reading::new("http://lab/metrics".to_owned(), parse(Format::OpenMetrics, &page).unwrap()));
        let expected = format!("\na\n  b=\"c\"{:50}2\n  b=\"{label}\"\n{:57}1\n", "", "");
        assert!(text.ends_with(&expected), "{text}");
    }

    #[test]
    fn a_second_reading_shows_rates_too() {
        let text = shown(true);
        assert!(
            text.contains("COUNTER               TOTAL    PER SECOND\nb_bytes_total         2 KiB         1 KiB\n"),
            "{text}"
        );
        assert!(
            text.contains("     EXEMPLARS    PER SECOND\n") && text.contains(">100 ms             1          1024\n"),
            "{text}"
        );
    }
}
