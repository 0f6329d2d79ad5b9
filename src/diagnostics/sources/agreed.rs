//! Stands in for the crate until its parts are there.
#![allow(missing_docs, clippy::unused_self, clippy::needless_pass_by_value, unreachable_pub, dead_code, missing_debug_implementations)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use span_profiler::{Profile, ValueType};

#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub trace_id: Option<u128>,
    pub span_id: Option<u64>,
    pub span_name: Option<String>,
    pub since: Option<Duration>,
}
#[derive(Debug, Clone)]
pub struct Profiler;
#[derive(Debug)]
pub struct Capture;
#[derive(Debug, thiserror::Error)]
#[error("busy")]
pub struct CaptureError;
#[derive(Debug, thiserror::Error)]
#[error("busy")]
pub struct Busy;
#[derive(Debug, thiserror::Error)]
#[error("not jemalloc")]
pub struct HeapError;
#[derive(Debug, Clone)]
pub struct SpanShare {
    pub name: Arc<str>,
    pub samples: u64,
    pub cpu: Duration,
}
#[derive(Debug, Clone)]
pub struct TraceSpan {
    pub span_id: u64,
    pub name: Arc<str>,
    pub samples: u64,
    pub cpu: Duration,
}
#[derive(Debug, Clone)]
pub struct RecorderState {
    pub hz: u32,
    pub oldest: SystemTime,
    pub window: Duration,
    pub bytes: usize,
    pub bytes_limit: usize,
    pub samples: u64,
}
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    pub samples: u64,
    pub lost: u64,
}
pub fn empty() -> Profile {
    Profile {
        value_types: vec![
            ValueType { kind: "samples", unit: "count" },
            ValueType { kind: "cpu", unit: "nanoseconds" },
        ],
        default_value: 1,
        period: None,
        start: SystemTime::now(),
        duration: Duration::ZERO,
        samples: vec![],
        comments: vec![],
        drop_frames: None,
    }
}
impl Profiler {
    pub fn capture(&self, _hz: u32) -> Result<Capture, CaptureError> {
        Ok(Capture)
    }
    pub fn recorded(&self, _filter: &Filter) -> Profile {
        empty()
    }
    pub fn spans(&self, _since: Option<Duration>) -> Vec<SpanShare> {
        [("cpu_loop", 900), ("json_encode", 80), ("", 40), ("<b>&\"", 1)]
            .map(|(name, samples)| SpanShare { name: name.into(), samples, cpu: Duration::from_millis(samples * 10) })
            .to_vec()
    }
    pub fn spans_of(&self, trace: u128) -> Vec<TraceSpan> {
        if trace % 2 == 0 {
            return vec![];
        }
        vec![TraceSpan { span_id: 7, name: "cpu_loop".into(), samples: 20, cpu: Duration::from_millis(200) }]
    }
    pub fn recorder(&self) -> Option<RecorderState> {
        Some(RecorderState {
            hz: 99,
            oldest: SystemTime::now() - Duration::from_secs(300),
            window: Duration::from_secs(600),
            bytes: 1_234_567,
            bytes_limit: 16 << 20,
            samples: 1234,
        })
    }
    pub fn stats(&self) -> Stats {
        Stats { samples: 5, lost: 1 }
    }
}
impl Capture {
    pub fn finish(self) -> Profile {
        empty()
    }
}
#[derive(Debug)]
pub struct Function {
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub line: u32,
    pub flat: i64,
    pub cum: i64,
}
#[derive(Debug)]
pub struct Symbolized;
impl Symbolized {
    pub fn to_pprof(&self) -> Vec<u8> {
        b"pprof".to_vec()
    }
    pub fn flamegraph(&self, title: &str, _value: usize) -> Vec<u8> {
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><text y=\"20\">{title}</text></svg>").into_bytes()
    }
    pub fn folded(&self, _value: usize) -> String {
        "main;work 20\n".to_owned()
    }
    pub fn top(&self, _value: usize) -> Vec<Function> {
        vec![Function {
            name: "phaselab::workload::cpu::checksum".into(),
            file: "src/workload/cpu.rs".into(),
            line: 55,
            flat: 200_000_000,
            cum: 210_000_000,
        }]
    }
    pub fn text(&self) -> String {
        "text".to_owned()
    }
}
pub trait Agreed {
    fn retain(&mut self, filter: &Filter);
    fn symbolize(&self) -> Symbolized;
    fn minus(self, base: &Self) -> Self;
}
impl Agreed for Profile {
    fn retain(&mut self, _: &Filter) {}
    fn symbolize(&self) -> Symbolized {
        Symbolized
    }
    fn minus(self, _: &Self) -> Self {
        self
    }
}
pub mod heap {
    #[derive(Debug, Clone)]
    pub struct Heap;
    pub fn start() -> Result<Heap, super::HeapError> {
        Ok(Heap)
    }
    impl Heap {
        pub fn profile(&self) -> Result<super::Profile, super::HeapError> {
            Ok(super::empty())
        }
    }
}
pub mod tasks {
    use std::time::Duration;
    #[derive(Debug)]
    pub struct TaskDump;
    pub async fn dump(_: Duration) -> TaskDump {
        TaskDump
    }
    impl TaskDump {
        pub fn profile(&self) -> super::Profile {
            super::empty()
        }
        pub fn text(&self) -> String {
            "tasks".into()
        }
    }
}
pub mod execution {
    #[derive(Debug)]
    pub struct Recording;
    #[derive(Debug)]
    pub struct ExecutionTrace;
    impl Recording {
        pub fn start() -> Result<Self, super::Busy> {
            Ok(Self)
        }
        pub fn finish(self) -> ExecutionTrace {
            ExecutionTrace
        }
    }
    impl ExecutionTrace {
        pub fn to_perfetto(&self) -> Vec<u8> {
            vec![0x0a]
        }
    }
}
