//! An OTLP receiver that runs inside a test, answers as told and remembers what it got.
//!
//! - [`Receiver`] listens on loopback for gRPC and HTTP/protobuf, on a thread and a runtime of its own;
//! - [`Answer`] and [`Gate`] script what it says to each export of a [`Signal`];
//! - [`Received`] is what has arrived: every [`Attempt`] with its headers, and the spans, metrics and exemplars in it.
//!
//! ```
//! use otlp_testkit::{Answer, Receiver, Signal};
//!
//! let receiver = Receiver::start()?;
//! receiver.script(Signal::Traces, [Answer::unavailable(), Answer::accept()]);
//! // Point an exporter at receiver.grpc_endpoint() or receiver.http_endpoint(), export, and then:
//! assert!(receiver.received().spans().is_empty());
//! # std::io::Result::Ok(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod grpc;
mod http_protobuf;
mod received;
mod receiver;
mod server;
mod shared;

pub use answer::{Answer, Gate, Outcome, Signal};
pub use received::{Attempt, FoundExemplar, FoundSpan, Protocol, Received, attribute};
pub use receiver::{Receiver, TimedOut};

/// The generated OTLP messages that [`Received`] hands out.
pub use opentelemetry_proto::tonic as proto;
