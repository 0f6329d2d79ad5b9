//! What an instrument is, and what Prometheus makes of its name.

/// What an instrument counts or measures, which decides what Prometheus makes of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows; read with `rate` and `increase`.
    Counter,
    /// A sum that goes up and down; read with `delta` and `deriv`.
    UpDownCounter,
    /// A value as it is now; read with `delta` and `deriv`.
    Gauge,
    /// A distribution.
    Histogram,
}

/// What an instrument is called and measured in.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// The name in OpenTelemetry's spelling.
    pub name: &'static str,
    /// What it counts or measures.
    pub kind: Kind,
    /// The unit (UCUM, or an annotation such as `{request}`).
    pub unit: &'static str,
    /// The keys of all attributes that its points may carry.
    pub attributes: &'static [&'static str],
    /// One sentence for the backends.
    pub description: &'static str,
}

impl Instrument {
    /// The name that Prometheus derives: words joined by underscores, the unit's word unless it is there already, and
    /// `_total` for a counter. Only the units `s`, `By` and annotations are in use.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let mut words: Vec<&str> = self.name.split(['.', '_']).collect();
        let unit = match self.unit {
            "s" => Some("seconds"),
            "By" => Some("bytes"),
            _ => None,
        };
        words.extend(unit.filter(|unit| !words.contains(unit)));
        if self.kind == Kind::Counter {
            words.push("total");
        }
        words.join("_")
    }

    /// The names of its series: the name itself, or those of a histogram's buckets, sum and count.
    #[must_use]
    pub fn series_names(&self) -> Vec<String> {
        let name = self.prometheus_name();
        match self.kind {
            Kind::Histogram => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).into(),
            Kind::Counter | Kind::UpDownCounter | Kind::Gauge => vec![name],
        }
    }

    /// The labels that its attributes become.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        self.attributes.iter().map(|key| key.replace('.', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        HTTP_SERVER_REQUEST_DURATION, PROCESS_CPU_TIME, PROCESS_FD_COUNT, PROFILER_RECORDER_BYTES, SECTION_DURATION,
        WEBSOCKET_BYTES_SENT, WORKER_ALLOCATIONS, WORKER_TASKS_IN_QUEUE,
    };

    #[test]
    fn prometheus_names_are_those_that_the_rules_of_otlp_give() {
        for (instrument, name) in [
            (HTTP_SERVER_REQUEST_DURATION, "http_server_request_duration_seconds"),
            (PROCESS_CPU_TIME, "process_cpu_time_seconds_total"),
            (PROFILER_RECORDER_BYTES, "profiler_recorder_bytes"),
            (WEBSOCKET_BYTES_SENT, "websocket_bytes_sent_total"),
            (WORKER_ALLOCATIONS, "worker_allocations_bytes_total"),
            (WORKER_TASKS_IN_QUEUE, "worker_tasks_in_queue"),
            (PROCESS_FD_COUNT, "process_unix_file_descriptor_count"),
        ] {
            assert_eq!(instrument.prometheus_name(), name);
        }
        assert_eq!(SECTION_DURATION.series_names()[0], "section_duration_seconds_bucket");
    }
}
