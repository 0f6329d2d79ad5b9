//! The instruments of the process itself, read from `/proc` when metrics are collected.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use procfs::process::{FDTarget, LimitValue, Process, Stat};
use procfs::{ProcResult, WithCurrentSystemInfo as _};

use super::shared::Shared;
use crate::names::{self, attribute};

/// `/proc/self/stat`.
fn stat() -> Option<Stat> {
    static STAT: Shared<Stat> = Shared::new();
    STAT.get(|| Process::myself().and_then(|process| process.stat()).ok())
}

/// Registers all `process.*` instruments with `meter`.
pub(super) fn register(meter: &Meter) {
    cpu(meter);
    up_down(meter, names::PROCESS_MEMORY_USAGE, |stat| i64::try_from(stat.rss_bytes().get()).ok());
    up_down(meter, names::PROCESS_MEMORY_VIRTUAL, |stat| i64::try_from(stat.vsize).ok());
    up_down(meter, names::PROCESS_THREAD_COUNT, |stat| Some(stat.num_threads));
    descriptors(meter);
    opened(meter);
    times(meter);
}

fn cpu(meter: &Meter) {
    let instrument = names::PROCESS_CPU_TIME;
    let modes = ["user", "system"].map(|mode| [KeyValue::new(attribute::CPU_MODE, mode)]);
    let _observed = meter
        .f64_observable_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_callback(move |observer| {
            if let Some(stat) = stat() {
                for (ticks, mode) in [stat.utime, stat.stime].into_iter().zip(&modes) {
                    observer.observe(seconds(ticks), mode);
                }
            }
        })
        .build();
}

fn up_down(meter: &Meter, instrument: names::Instrument, value: impl Fn(&Stat) -> Option<i64> + Send + Sync + 'static) {
    let _observed = meter
        .i64_observable_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_callback(move |observer| {
            if let Some(value) = stat().as_ref().and_then(&value) {
                observer.observe(value, &[]);
            }
        })
        .build();
}

fn descriptors(meter: &Meter) {
    let (count, limit) = (names::PROCESS_FD_COUNT, names::PROCESS_FD_LIMIT);
    let _observed = meter
        .i64_observable_up_down_counter(count.name)
        .with_unit(count.unit)
        .with_description(count.description)
        .with_callback(|observer| {
            if let Some(count) = descriptor_count().ok().and_then(|count| i64::try_from(count).ok()) {
                observer.observe(count, &[]);
            }
        })
        .build();
    let _observed = meter
        .u64_observable_gauge(limit.name)
        .with_unit(limit.unit)
        .with_description(limit.description)
        .with_callback(|observer| {
            if let Ok(Some(limit)) = descriptor_limit() {
                observer.observe(limit, &[]);
            }
        })
        .build();
}

/// What descriptors lead to.
#[derive(Debug, Clone, Copy)]
struct Open {
    files: i64,
    sockets: i64,
}

/// What is open now: a link is read for each descriptor, so both instruments share it.
fn open() -> Option<Open> {
    static OPEN: Shared<Open> = Shared::new();
    OPEN.get(|| read_open().ok())
}

fn read_open() -> ProcResult<Open> {
    let (mut files, mut sockets) = (0, 0);
    // One that another thread closes meanwhile is left out.
    for descriptor in Process::myself()?.fd()?.flatten() {
        match descriptor.target {
            // A device such as /dev/null is no file that could pile up.
            FDTarget::Path(path) if !path.starts_with("/dev") => files += 1,
            FDTarget::Socket(_) => sockets += 1,
            _ => {}
        }
    }
    Ok(Open { files, sockets })
}

fn opened(meter: &Meter) {
    let one = |instrument: names::Instrument, which: fn(Open) -> i64| {
        let _observed = meter
            .i64_observable_gauge(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.description)
            .with_callback(move |observer| {
                if let Some(open) = open() {
                    observer.observe(which(open), &[]);
                }
            })
            .build();
    };
    one(names::APP_OPEN_FILES, |open| open.files);
    one(names::APP_OPEN_CONNECTIONS, |open| open.sockets);
}

/// Descriptors that the process may still open; `None` where there is no limit or it is not known.
pub(crate) fn descriptors_left() -> Option<u64> {
    let limit = descriptor_limit().ok()??;
    Some(limit.saturating_sub(descriptor_count().ok()? as u64))
}

fn descriptor_count() -> ProcResult<usize> {
    Process::myself()?.fd_count()
}

/// The soft limit; `None` means that there is none.
fn descriptor_limit() -> ProcResult<Option<u64>> {
    Ok(match Process::myself()?.limits()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    })
}

fn times(meter: &Meter) {
    let started = started();
    let (start, uptime) = (names::PROCESS_START_TIME, names::PROCESS_UPTIME);
    let _observed = meter
        .f64_observable_gauge(start.name)
        .with_unit(start.unit)
        .with_description(start.description)
        .with_callback(move |observer| observer.observe(since_epoch(started).as_secs_f64(), &[]))
        .build();
    let _observed = meter
        .f64_observable_gauge(uptime.name)
        .with_unit(uptime.unit)
        .with_description(uptime.description)
        .with_callback(move |observer| observer.observe(started.elapsed().unwrap_or_default().as_secs_f64(), &[]))
        .build();
}

/// When the kernel started this process; where `/proc` does not tell, now.
fn started() -> SystemTime {
    let kernel = || -> ProcResult<SystemTime> {
        let ticks = Process::myself()?.stat()?.starttime;
        Ok(UNIX_EPOCH + Duration::from_secs(procfs::boot_time_secs()?) + Duration::from_secs_f64(seconds(ticks)))
    };
    kernel().unwrap_or_else(|_| SystemTime::now())
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "ticks stay below 2^53 for millions of years")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_can_be_read() {
        let stat = stat().unwrap();
        assert!(stat.rss_bytes().get() > 100_000 && stat.num_threads >= 1);
        assert!(descriptor_count().unwrap() >= 3);
        let _file = std::fs::File::open("/proc/self/exe").unwrap();
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let Open { files, sockets } = read_open().unwrap();
        assert!(files > 0 && sockets > 0, "{files} {sockets}");
        assert!(descriptor_limit().unwrap().is_none_or(|limit| limit >= 3));
    }

    #[test]
    fn the_process_started_in_the_recent_past() {
        // /proc counts in hundredths of a second and the boot time in whole ones.
        let age = SystemTime::now() + Duration::from_secs(2);
        assert!(age.duration_since(started()).unwrap() < Duration::from_secs(86_400));
    }
}
