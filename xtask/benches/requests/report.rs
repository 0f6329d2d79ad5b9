//! Medians and quartiles as a table.

use crate::Mode;
use crate::client::Load;
use crate::process::Stopped;

/// One measurement.
pub(crate) struct Measured {
    pub(crate) load: Load,
    /// Spans that the requests should have made, those of the warm-up too.
    pub(crate) made: u64,
    /// Spans that the collector accepted.
    pub(crate) arrived: u64,
    pub(crate) stopped: Stopped,
}

/// The measurements of one route, by mode.
#[derive(Default)]
pub(crate) struct Report {
    measured: [Vec<Measured>; Mode::ALL.len()],
}

impl Report {
    /// Adds the next one of its mode.
    pub(crate) fn add(&mut self, mode: Mode, measured: Measured) {
        self.measured[mode as usize].push(measured);
    }

    /// Prints the table.
    pub(crate) fn print(&self, path: &str) {
        println!("\n{path}");
        println!(
            "| telemetry | requests/s | CPU µs/request | throughput against off | extra CPU µs/request | spans lost | exemplars |"
        );
        println!("|---|---|---|---|---|---|---|");
        let off = &self.measured[Mode::Off as usize];
        for mode in Mode::ALL {
            let measured = &self.measured[mode as usize];
            let each = |value: fn(&Measured) -> f64| Spread::of(measured.iter().map(value).collect());
            let paired = |value: fn(&Measured, &Measured) -> f64| {
                Spread::of(measured.iter().zip(off).map(|(one, off)| value(one, off)).collect())
            };
            let rate = each(|one| one.load.per_second);
            let cpu = each(|one| one.load.cpu_us);
            let share = paired(|one, off| one.load.per_second / off.load.per_second);
            let extra = paired(|one, off| one.load.cpu_us - off.load.cpu_us);
            let sum = |value: fn(&Measured) -> u64| measured.iter().map(value).sum::<u64>();
            let (made, arrived) = (sum(|one| one.made), sum(|one| one.arrived));
            let lost = made.saturating_sub(arrived);
            let lost = match made {
                0 => "–".to_owned(),
                _ => {
                    let full = sum(|one| one.stopped.queue_full);
                    format!("{lost} of {made} ({:.2} %), {full} at a full queue", lost as f64 * 100.0 / made as f64)
                }
            };
            let compared = match mode {
                Mode::Off => "1 | 0".to_owned(),
                _ => format!("{} | {}", share.with(3), extra.with(1)),
            };
            let exemplars = sum(|one| one.stopped.shipped);
            println!("| {} | {} | {} | {compared} | {lost} | {exemplars} |", mode.name(), rate.with(0), cpu.with(1));
        }
    }
}

/// A median and its quartiles.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        // A quartile that lies between two values is taken from the straight line between them.
        let quartile = |number: usize| {
            let quarters = number * (values.len() - 1);
            let (below, rest) = (values[quarters / 4], (quarters % 4) as f64 / 4.0);
            let above = values[quarters.div_ceil(4)];
            below + (above - below) * rest
        };
        Self { low: quartile(1), median: quartile(2), high: quartile(3) }
    }

    fn with(&self, decimals: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.decimals$} [{low:.decimals$}, {high:.decimals$}]")
    }
}
