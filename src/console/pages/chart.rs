//! Charts, drawn here as SVG: shapes with attributes and classes, as the policy allows no style in a page.

use maud::{Markup, html};

use super::format::{clock, seconds};
use crate::console::histogram::{Histogram, QUANTILES};

const SPARK_WIDTH: f64 = 120.0;
const SPARK_HEIGHT: f64 = 24.0;

/// A curve from 0 to its highest value; there are gaps where there is no value.
pub(super) fn sparkline(what: &str, values: &[Option<f64>]) -> Markup {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let step = SPARK_WIDTH / values.len().max(2).saturating_sub(1) as f64;
    let y = |value: f64| SPARK_HEIGHT - 1.0 - if highest > 0.0 { value / highest * (SPARK_HEIGHT - 2.0) } else { 0.0 };
    let points = values.iter().enumerate().map(|(at, value)| value.map(|value| (at as f64 * step, y(value))));
    html! {
        svg.spark viewBox=(format!("0 0 {SPARK_WIDTH} {SPARK_HEIGHT}")) role="img" aria-label=(what) {
            path d=(path(points)) {}
        }
    }
}

/// The way along these points; one that stands alone becomes a dot.
fn path(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for point in points {
        if let Some((x, y)) = point {
            path.push_str(&format!("{}{x:.1} {y:.1}", if drawing { "L" } else { "M" }));
            if !drawing {
                path.push_str("h.1");
            }
        }
        drawing = point.is_some();
    }
    path
}

const LEFT: f64 = 90.0;
const TOP: f64 = 10.0;
const WIDTH: f64 = 1_000.0;
const ROW: f64 = 26.0;
const BELOW: f64 = 30.0;

/// Where values and times are in the heatmap: one row for each bucket between the lowest and the highest that is used, the
/// highest on top.
struct Plot<'a> {
    of: &'a Histogram,
    low: usize,
    rows: usize,
}

impl<'a> Plot<'a> {
    fn new(of: &'a Histogram) -> Self {
        let used = of.over_time.total();
        let mut used: Vec<usize> = used.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, _)| at).collect();
        used.extend(of.exemplars.iter().map(|one| of.bucket(one.value)));
        let low = used.iter().min().copied().unwrap_or(0);
        let high = used.iter().max().copied().unwrap_or(low);
        Self { of, low, rows: high - low + 1 }
    }

    fn height(&self) -> f64 {
        TOP + ROW * self.rows as f64 + BELOW
    }

    fn column_width(&self) -> f64 {
        WIDTH / self.of.over_time.range.columns as f64
    }

    fn x(&self, unix_ns: u64) -> f64 {
        let range = self.of.over_time.range;
        LEFT + unix_ns.saturating_sub(range.from_unix_ns) as f64 / range.step_ns as f64 * self.column_width()
    }

    /// The upper edge of a bucket's row.
    fn top(&self, bucket: usize) -> f64 {
        TOP + ROW * (self.rows as f64 - 1.0 - (bucket as f64 - self.low as f64))
    }

    fn y(&self, value: f64) -> f64 {
        let bounds = &self.of.over_time.bounds;
        let bucket = self.of.bucket(value);
        let lower = bucket.checked_sub(1).map_or(0.0, |below| bounds[below]);
        let within = bounds.get(bucket).map_or(0.5, |upper| ((value - lower) / (upper - lower)).clamp(0.0, 1.0));
        self.top(bucket) + ROW * (1.0 - within)
    }
}

/// The counts of each bucket over time, exemplars as links, quantiles as lines.
pub(super) fn heatmap(of: &Histogram) -> Markup {
    let plot = Plot::new(of);
    let range = of.over_time.range;
    let highest = of.over_time.counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    // By the logarithm: slow requests are few, and are what one looks for.
    let strength = |count: u64| format!("{:.2}", 0.15 + 0.85 * (count as f64).ln_1p() / highest.ln_1p());
    let bottom = plot.top(plot.low) + ROW;
    let label = format!("{} over time; the same numbers are in the tables below", of.metric);
    html! {
        svg.heatmap viewBox=(format!("0 0 {:.0} {:.0}", LEFT + WIDTH + 8.0, plot.height())) role="group" aria-label=(label) {
            @for bucket in plot.low..plot.low + plot.rows {
                @let top = plot.top(bucket);
                line.grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(top) y2=(top) {}
                text x=(LEFT - 8.0) y=(format!("{:.1}", top + 4.0)) text-anchor="end" { (upper(of, bucket)) }
            }
            line.grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(bottom) y2=(bottom) {}
            @for (column, counts) in of.over_time.counts.iter().enumerate() {
                @for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    rect.cell x=(format!("{:.1}", LEFT + plot.column_width() * column as f64)) y=(plot.top(bucket))
                        width=(format!("{:.1}", plot.column_width())) height=(ROW) fill-opacity=(strength(*count)) {
                        title { (count) " at " (clock(range.end(column))) ", " (bucket_name(of, bucket)) }
                    }
                }
            }
            @for column in (0..=range.columns).step_by((range.columns / 4).max(1)) {
                @let at = range.from_unix_ns + range.step_ns * column as u64;
                text x=(format!("{:.1}", plot.x(at))) y=(plot.height() - 8.0)
                    text-anchor=(if column == 0 { "start" } else if column == range.columns { "end" } else { "middle" }) { (clock(at)) }
            }
            @for (at, (name, _)) in QUANTILES.iter().enumerate() {
                @let middle = |column: usize| LEFT + plot.column_width() * (column as f64 + 0.5);
                @let points = of.quantiles.iter().enumerate().map(|(column, of)| of[at].map(|value| (middle(column), plot.y(value))));
                path class=(format!("quantile {name}")) d=(path(points)) {}
            }
            @for exemplar in &of.exemplars {
                @let (x, y) = (plot.x(exemplar.unix_ns), plot.y(exemplar.value));
                @let what = format!("Exemplar: {} at {}", seconds(exemplar.value), clock(exemplar.unix_ns));
                a.exemplar href=(trace(exemplar.trace_id)) aria-label=(what) {
                    path d=(format!("M{x:.1} {:.1}l6 6l-6 6l-6-6z", y - 6.0)) { title { (what) } }
                }
            }
        }
    }
}

/// The page of a trace.
pub(super) fn trace(trace_id: u128) -> String {
    format!("/console/trace/{trace_id:032x}")
}

fn upper(of: &Histogram, bucket: usize) -> String {
    of.over_time.bounds.get(bucket).map_or_else(|| "∞".to_owned(), |bound| seconds(*bound))
}

/// What a bucket holds.
pub(super) fn bucket_name(of: &Histogram, bucket: usize) -> String {
    let lower = bucket.checked_sub(1).map_or(0.0, |below| of.over_time.bounds[below]);
    format!("{} to {}", seconds(lower), upper(of, bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_gaps_where_nothing_is_known() {
        let points = [Some((0.0, 1.0)), None, Some((2.0, 1.0)), Some((3.0, 2.5))];
        assert_eq!(path(points.into_iter()), "M0.0 1.0h.1M2.0 1.0h.1L3.0 2.5");
        let empty = sparkline("<rate>", &[]).into_string();
        assert!(empty.contains("&lt;rate&gt;"), "{empty}");
    }
}
