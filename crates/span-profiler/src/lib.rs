//! Profiles of a Rust service that know the span they were taken in.
//!
//! A sample carries the span, the trace and the root of the trace in this process, so a trace leads to the profile of its hot
//! span, also minutes later. Everything is read by `go tool pprof`, flame graphs need nothing else, and execution
//! traces open in ui.perfetto.dev.
//!
//! - [`Profiler`] samples CPU time: a [recorder](Profiler::recorded) that is always on, and [captures](Profiler::capture) on
//!   demand; [`SpanLabels`] is the `tracing` layer that gives samples their labels;
//! - [`heap`] follows allocations that jemalloc samples, by span;
//! - [`tasks`] lists tokio tasks with the stacks that they wait in, without `tokio_unstable`;
//! - [`execution`] records polls, wakes and spans;
//! - [`Profile`] is what all of them give: [`symbolize`](Profile::symbolize) turns it into pprof, a flame graph or text.
//!
//! ```no_run
//! use span_profiler::{Filter, Profiler, SpanLabels};
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (profiler, _guard) = Profiler::builder().start()?;
//! // Above the layer of tracing-opentelemetry, if there is one.
//! tracing::subscriber::set_global_default(tracing_subscriber::registry().with(SpanLabels::new()))?;
//! let runtime = tokio::runtime::Builder::new_multi_thread().on_thread_start(span_profiler::thread_started).build()?;
//! // … some requests later:
//! let filter = Filter { span_name: Some("checkout".to_owned()), ..Filter::default() };
//! std::fs::write("checkout.pb.gz", profiler.recorded(&filter).symbolize().to_pprof())?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! Linux on x86-64 or aarch64; elsewhere the crate compiles and [`ProfilerBuilder::start`] says that it is unsupported. No
//! privileges: it works as a user without capabilities, on a read-only root, under Docker's default seccomp profile.
//! Frame pointers (`-C force-frame-pointers=yes`; `start` checks) and, for lines, `debug = 1` in the profile.
//!
//! # Limits
//!
//! - The kernel sends a CPU timer's signals at its tick, mostly 250 a second for each thread. Totals are right above that,
//!   since each signal says how many it stands for; a thread that lives shorter than some ticks is partly missed.
//! - CPU time in the C library often loses the direct caller, because that library is built without frame pointers.
//! - One process has one SIGPROF: another profiler at the same time is refused, and one that takes the signal later is noticed
//!   ([`Stats::signal_taken`]).
//! - Work that leaves its span (`spawn_blocking`, `spawn`) needs `tracing::Instrument` as for traces.
//!
//! # Features
//!
//! `opentelemetry` (ids of spans), `tasks` (tokio) and `flamegraph` (inferno) are on by default; `heap` needs
//! jemalloc as the global allocator, and `heap-conf` sets it up.

mod cpu;
pub mod execution;
#[cfg(feature = "heap")]
pub mod heap;
mod labels;
mod names;
mod profile;
mod recorder;
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    expect(dead_code, reason = "without signals nobody writes")
)]
mod ring;
mod samples;
mod symbols;
mod sys;
#[cfg(feature = "tasks")]
pub mod tasks;
mod threads;

pub use cpu::{
    Capture, CaptureError, MAX_HZ, Profiler, ProfilerBuilder, ProfilerGuard, RecorderState, SpanShare, StartError,
    Stats, TraceSpan, thread_started,
};
pub use labels::SpanLabels;
pub use profile::{Filter, Function, Labels, Profile, Sample, Symbolized, ValueType};
