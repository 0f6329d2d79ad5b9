//! One series: what it was, and what it came to be when.

use std::collections::VecDeque;

use super::Range;

/// A point in its queue, which doubles when it is full.
const POINT_BYTES: usize = 2 * size_of::<Point>();

/// A series without points, with its place in the map of its metric.
pub(super) const SERIES_BYTES: usize = size_of::<Series>() + 64;

/// One collection that found something new.
#[derive(Debug)]
struct Point {
    unix_ns: u64,
    /// What was added to the value or the sum; of a gauge what it was then.
    value: f64,
    /// What was added to each bucket.
    counts: Box<[u32]>,
}

impl Point {
    fn bytes(&self) -> usize {
        // Allocators round up to 16 bytes.
        POINT_BYTES + size_of_val(&*self.counts).next_multiple_of(16)
    }
}

/// One series.
#[derive(Debug, Default)]
pub(super) struct Series {
    points: VecDeque<Point>,
    /// The value or sum at the last collection, and at the oldest point that was thrown out.
    last: f64,
    base: f64,
    counts: Box<[u64]>,
}

impl Series {
    /// Takes in the buckets and the sum of a histogram since it began; returns the bytes that it takes more.
    pub(super) fn add_histogram(&mut self, unix_ns: u64, counts: impl Iterator<Item = u64>, sum: f64) -> usize {
        let counts: Box<[u64]> = counts.collect();
        if counts.len() != self.counts.len() {
            self.counts = vec![0; counts.len()].into();
        }
        if counts == self.counts {
            return 0;
        }
        let added = counts.iter().zip(&self.counts).map(|(now, before)| now.saturating_sub(*before));
        let added = added.map(|added| u32::try_from(added).unwrap_or(u32::MAX)).collect();
        let point = Point { unix_ns, value: sum - self.last, counts: added };
        (self.counts, self.last) = (counts, sum);
        self.push(point)
    }

    /// Takes in a sum since it began.
    pub(super) fn add_counter(&mut self, unix_ns: u64, value: f64) -> usize {
        let added = value - self.last;
        self.last = value;
        if added > 0.0 { self.push(Point { unix_ns, value: added, counts: Box::default() }) } else { 0 }
    }

    /// Takes in a value as it is.
    pub(super) fn add_gauge(&mut self, unix_ns: u64, value: f64) -> usize {
        if value.to_bits() == self.last.to_bits() && !self.points.is_empty() {
            return 0;
        }
        self.last = value;
        self.push(Point { unix_ns, value, counts: Box::default() })
    }

    fn push(&mut self, point: Point) -> usize {
        let bytes = point.bytes();
        self.points.push_back(point);
        bytes
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.points.front().map(|point| point.unix_ns)
    }

    /// Throws out the points before a time, and returns the bytes that they took.
    pub(super) fn forget(&mut self, before: u64) -> usize {
        let mut freed = 0;
        while let Some(point) = self.points.pop_front_if(|point| point.unix_ns < before) {
            self.base = point.value;
            freed += point.bytes();
        }
        freed
    }

    /// The buckets and the sum since the process began.
    pub(super) fn cumulative(&self) -> (impl Iterator<Item = u64>, f64) {
        (self.counts.iter().copied(), self.last)
    }

    pub(super) fn distribute(&self, range: Range, counts: &mut [Vec<u64>], sums: &mut [f64]) {
        for (column, point) in self.points.iter().filter_map(|point| Some((range.column(point.unix_ns)?, point))) {
            sums[column] += point.value;
            counts[column].iter_mut().zip(&point.counts).for_each(|(sum, count)| *sum += u64::from(*count));
        }
    }

    pub(super) fn increases(&self, range: Range, values: &mut [f64]) {
        for (column, point) in self.points.iter().filter_map(|point| Some((range.column(point.unix_ns)?, point))) {
            values[column] += point.value;
        }
    }

    /// Adds the value that a gauge had at the end of each column.
    pub(super) fn levels(&self, range: Range, values: &mut [f64]) {
        let mut points = self.points.iter().peekable();
        let mut level = self.base;
        for (column, value) in values.iter_mut().enumerate() {
            while let Some(point) = points.next_if(|point| point.unix_ns <= range.end(column)) {
                level = point.value;
            }
            *value += level;
        }
    }
}
