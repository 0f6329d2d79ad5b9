//! Stands in for the crate until its parts are there.
#![allow(
    missing_docs,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    unreachable_pub,
    dead_code,
    missing_debug_implementations
)]

use std::time::{Duration, SystemTime};

pub use span_profiler::{Profile, ValueType};

#[derive(Debug, thiserror::Error)]
#[error("busy")]
pub struct Busy;
pub fn empty() -> Profile {
    Profile {
        value_types: vec![ValueType { kind: "samples", unit: "count" }, ValueType { kind: "cpu", unit: "nanoseconds" }],
        default_value: 1,
        period: None,
        start: SystemTime::now(),
        duration: Duration::ZERO,
        samples: vec![],
        comments: vec![],
        drop_frames: None,
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
