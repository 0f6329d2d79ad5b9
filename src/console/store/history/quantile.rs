//! Quantiles out of buckets, as Prometheus' `histogram_quantile` has them, so that both show the same.

/// The value below which a share `q` (0 to 1) of what was counted lies: values are taken to lie evenly within their
/// bucket, and the first bucket begins at 0. What lies in the last bucket is said to be at the highest bound. `None`
/// where nothing was counted.
#[must_use]
pub fn quantile(bounds: &[f64], counts: &[u64], q: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let highest = *bounds.last()?;
    if total == 0 {
        return None;
    }
    let rank = q * total as f64;
    let mut below = 0;
    for (bucket, (bound, count)) in bounds.iter().zip(counts).enumerate() {
        if (below + count) as f64 >= rank {
            if bucket == 0 && *bound <= 0.0 {
                return Some(*bound);
            }
            let start = if bucket == 0 { 0.0 } else { bounds[bucket - 1] };
            let within = if *count == 0 { 0.0 } else { (rank - below as f64) / *count as f64 };
            return Some(start + (bound - start) * within);
        }
        below += count;
    }
    Some(highest)
}
