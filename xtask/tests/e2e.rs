//! The real programs: collector, Prometheus, a trace store. Each test starts a stack of its own on
//! free ports below a directory of its own, and leaves neither behind.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod e2e {
    //! One file per behaviour; `lab` is what they share.
    mod alerts;
    mod budget;
    mod collector;
    mod controls;
    mod exposition;
    mod lab;
    mod lifecycle;
    mod profiles;
    mod promise;
    mod resilience;
    mod scraper;
    mod service;
    mod tools;
    mod websocket;
    mod workers;
}
