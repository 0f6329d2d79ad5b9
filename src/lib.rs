//! An OpenTelemetry-first performance lab: [`http`] answers requests by running the phases of [`workload`], whose
//! spans, metrics and logs [`telemetry`] sends away, and what they cost [`diagnostics`] shows; [`console`] shows it all in
//! this one process; [`config`] says how, [`names`] under which names. [`load`], [`verify`], [`snapshot`] and [`health`]
//! look at a running one from outside.
#![forbid(unsafe_code)]
#![allow(rustdoc::private_intra_doc_links, reason = "read by those who work on it")]

pub mod cli;
pub mod config;
pub mod console;
pub mod diagnostics;
pub mod error;
pub mod health;
pub mod http;
pub mod load;
pub mod names;
pub mod snapshot;
pub mod telemetry;
pub mod verify;
pub mod workload;
