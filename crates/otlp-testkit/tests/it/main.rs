//! The receiver against the stock exporters: a receiver that misreads its input would make every other test pass on nothing.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![forbid(unsafe_code)]

mod answers;
mod clients;
mod protocols;
mod quiet;
mod waiting;
