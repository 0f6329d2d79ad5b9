//! Turns the SDK's repeated complaints into one line per kind and minute.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::Metadata;
use tracing::callsite::Identifier;

/// How long the SDK stays silent about one thing after it was logged.
const SILENCE: Duration = Duration::from_secs(60);

/// Names of SDK events about a failed export, which `ExportHealth` reports once.
const EXPORT_FAILURES: [&str; 8] = [
    "BatchSpanProcessor.Export.Error",
    "BatchSpanProcessor.ExportError",
    "BatchSpanProcessor.Flush.ExportError",
    "Export.",
    "HttpClient.",
    "PeriodicReader.ExportError",
    "PeriodicReader.ExportFailed",
    "ReqwestBlockingClient.",
];

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it, and say how many of its kind were kept back since the last one.
    Write { kept_back: u64 },
    /// Keep it back.
    Silence,
}

/// Events of the SDK by callsite; there are as many entries as the SDK has callsites, so the map is bounded.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Mutex<HashMap<Identifier, (Instant, u64)>>,
}

impl Quiet {
    /// Judges an event; those of other crates always pass.
    pub(super) fn judge(&self, metadata: &Metadata<'_>, now: Instant) -> Verdict {
        if !metadata.target().starts_with("opentelemetry") {
            return Verdict::Write { kept_back: 0 };
        }
        if EXPORT_FAILURES.iter().any(|name| metadata.name().starts_with(name)) {
            return Verdict::Silence;
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match last.get_mut(&metadata.callsite()) {
            Some((logged, kept_back)) if now.duration_since(*logged) < SILENCE => {
                *kept_back += 1;
                Verdict::Silence
            }
            entry => {
                let kept_back = entry.map_or(0, |(_, kept_back)| *kept_back);
                last.insert(metadata.callsite(), (now, 0));
                Verdict::Write { kept_back }
            }
        }
    }
}
