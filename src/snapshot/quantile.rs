//! Quantiles of histograms, as Prometheus' `histogram_quantile` estimates them.

use serde::Serialize;

/// Where a share of the records lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// The share, 0.95 for p95.
    pub quantile: f64,
    /// In the unit of the metric; not a number (`null` in JSON) without records.
    pub value: f64,
    /// The share reaches into the last bucket, which has no upper bound: the value is where that bucket begins, and the
    /// truth lies above.
    pub open: bool,
}

/// A bucket: its upper bound, and the records up to there, those of lower buckets included.
pub type Bucket = (f64, f64);

/// The value that `share` of the records does not exceed, supposed that they lie evenly within their bucket; the lowest
/// bucket begins at 0 unless it ends below.
///
/// `buckets` ascend, and the last has no upper bound.
#[must_use]
pub fn quantile(share: f64, buckets: &[Bucket]) -> Quantile {
    let found = |value, open| Quantile { quantile: share, value, open };
    let [finite @ .., (f64::INFINITY, count)] = buckets else { return found(f64::NAN, false) };
    let Some((highest, _)) = finite.last() else { return found(f64::NAN, false) };
    if *count == 0.0 {
        return found(f64::NAN, false);
    }
    let rank = share * count;
    let Some(at) = finite.iter().position(|(_, below)| *below >= rank) else { return found(*highest, true) };
    let (end, below) = finite[at];
    let (start, before) = match at {
        0 if end <= 0.0 => return found(end, false),
        0 => (0.0, 0.0),
        _ => finite[at - 1],
    };
    found(start + (end - start) * (rank - before) / (below - before), false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INF: f64 = f64::INFINITY;

    /// What Prometheus 3.14 answers to the same buckets, by `promtool test rules`.
    #[test]
    fn quantiles_are_those_of_prometheus() {
        let buckets = [(0.1, 10.0), (0.25, 40.0), (1.0, 90.0), (INF, 100.0)];
        for (share, value, open) in
            [(0.05, 0.05, false), (0.1, 0.1, false), (0.5, 0.4, false), (0.9, 1.0, false), (0.95, 1.0, true)]
        {
            assert_eq!(quantile(share, &buckets), Quantile { quantile: share, value, open });
        }
        // Empty buckets in between, and a lowest one that ends below zero.
        assert_eq!(quantile(0.5, &[(1.0, 0.0), (2.0, 0.0), (4.0, 8.0), (INF, 8.0)]).value, 3.0);
        assert_eq!(quantile(0.5, &[(-1.0, 8.0), (INF, 8.0)]).value, -1.0);
        assert_eq!(quantile(0.75, &[(-1.0, 4.0), (1.0, 8.0), (INF, 8.0)]).value, 0.0);
    }

    #[test]
    fn without_records_or_bounds_there_is_none() {
        for buckets in [&[][..], &[(1.0, 0.0), (INF, 0.0)], &[(INF, 3.0)], &[(1.0, 3.0)]] {
            assert!(quantile(0.5, buckets).value.is_nan(), "{buckets:?}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_quantiles(counts in prop::collection::vec(0_u32..1000, 1..20), share in 0.001..=1.0_f64) {
            let mut below = 0.0;
            let mut buckets: Vec<Bucket> = counts.iter().enumerate().map(|(at, count)| {
                below += f64::from(*count);
                (f64::from(u32::try_from(at).unwrap()) - 2.0, below)
            }).collect();
            buckets.last_mut().unwrap().0 = INF;
            let found = quantile(share, &buckets);
            let none = buckets.len() < 2 || below == 0.0;
            prop_assert_eq!(found.value.is_nan(), none);
            if !none {
                // At least this share lies at or below it, where the last bucket does not hide the truth.
                let up_to = buckets.iter().find(|(bound, _)| *bound >= found.value).unwrap().1;
                prop_assert!(found.open || up_to >= share * below, "{:?} of {:?}", found, buckets);
                prop_assert!(found.value <= buckets[buckets.len() - 2].0);
            }
        }
    }
}
