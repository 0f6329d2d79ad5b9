//! The service from outside: each test starts the real program on a free port and speaks to it as clients, collectors
//! and supervisors do.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod client;
mod server;

mod config;
mod console;
mod diagnostics;
mod health;
mod input;
mod limits;
mod logs;
mod names;
mod pages;
mod parents;
mod ramp;
mod shutdown;
mod snapshot;
mod tasks;
mod telemetry;
mod websocket;
mod work;
mod worker;
