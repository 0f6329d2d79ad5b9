//! OpenTelemetry exemplars for Rust, each of which names a trace that was exported.
//!
//! An exemplar is a measurement with the ids of the span that it was made in: the way from a bucket of a latency
//! histogram to the trace of a request in that bucket. `opentelemetry_sdk` 0.33 never fills one. This crate does, over
//! OTLP (gRPC and HTTP) and on `/metrics`, and holds a promise that makes them worth following: **an exemplar leaves the
//! process only after the span that it names was exported, carrying a mark by which a tail sampler keeps its trace.**
//!
//! - [`Exemplars`] is the handle of the process; its [builder](ExemplarsBuilder) has every bound and its reason;
//! - [`ExemplarMeter`] makes the instruments: [`Histogram`], [`Counter`] and their bound forms;
//! - [`Exemplars::span_processor`] and the span exporters acknowledge; [`ExemplarMetricExporter`] carries;
//! - [`Exposition`] writes `/metrics` from the same reader;
//! - [a listener](ExemplarsBuilder::with_listener) hears of each exemplar at once;
//! - [`Stats`] accounts for every exemplar: `offered = shipped + dropped + waiting`.
//!
//! # How an exemplar comes to leave
//!
//! 1. A record finds the slot of its bucket free in this window, claims it, and marks the current span with the
//!    attribute [`exemplar`](MARK)` = true`. The span must be sampled and still open.
//! 2. It waits until that span was exported **with the mark** in an export that succeeded wholly, at most `decision_wait`
//!    − `max_trace_duration` − 1 s after the span ended. Otherwise it is dropped and counted by reason.
//! 3. The next metric export carries it, on a data point that has counted its value, and opens the next window.
//! 4. The tail sampler keeps the marked trace. In the collector's terms: a `boolean_attribute` policy with `key:
//!    exemplar`, no `batch` before `tail_sampling`, no drop or inverted policy, and room for every trace under way
//!    (`num_traces` ≥ 2 × traces per second × `decision_wait`).
//!
//! # Limits
//!
//! - Explicit-bucket histograms of `f64` and counters of `u64`. Temporality is cumulative.
//! - A view that renames a metric leaves its exemplars without a data point (`no_data_point`), and so does the overflow
//!   attribute of the SDK's cardinality limit. A view that drops attributes is fine: what it dropped travels on the
//!   exemplar. A view that changes boundaries moves buckets, not slots.
//! - At most 2,000 series have slots and 4,096 exemplars wait, by default.
//! - Traces that began in another process are skipped unless told otherwise: see [`RemoteParents`].
//! - `http/json` and zstd are not offered; a zstd setting sends metrics uncompressed.
//! - Not covered by the promise: a collector killed between acknowledging and deciding, several collectors without
//!   routing by trace id, a trace id that a client uses again.
//! - On a current-thread tokio runtime shut the providers down from another thread: their threads need the runtime.
//!
//! # Features
//!
//! `http` and `grpc`, both on by default, each with the exporters of one protocol.
#![forbid(unsafe_code)]

mod acknowledge;
mod attributes;
mod bound;
#[cfg(any(feature = "http", feature = "grpc"))]
mod carrier;
mod counter;
mod exemplar;
mod exposition;
mod histogram;
mod hub;
#[cfg(any(feature = "http", feature = "grpc"))]
mod inject;
mod listener;
mod meter;
#[cfg(any(feature = "http", feature = "grpc"))]
mod metric_exporter;
mod outbox;
mod processor;
mod room;
mod scrape;
mod series;
mod settings;
mod slot;
mod stats;
mod sync;

pub use acknowledge::AcknowledgingExporter;
pub use counter::{BoundCounter, Counter};
pub use exposition::Page;
pub use histogram::{BoundHistogram, Histogram};
pub use hub::{Exemplars, MARK};
pub use listener::PickedExemplar;
pub use meter::{CounterBuilder, ExemplarMeter, HistogramBuilder};
#[cfg(any(feature = "http", feature = "grpc"))]
pub use metric_exporter::ExemplarMetricExporter;
pub use processor::ExemplarSpanProcessor;
pub use scrape::Exposition;
pub use settings::{ExemplarsBuilder, RemoteParents, SettingsError};
pub use stats::Stats;
