//! The private server: profiles and scenarios of this process, for its operator alone.
//!
//! - [`door`] keeps room for connections, [`access`] decides who may ask, [`manners`] gives every answer its headers and counts the refused;
//! - [`ask`] reads parameters, [`slots`] lets one profile of a kind be taken at a time;
//! - [`sources`] is where profiles come from, [`profiles`] serves them at Go's paths, [`answer`] writes them;
//! - [`spans`] and [`traces`] lead from a span or a trace to its profile, also to those of other processes ([`peers`]);
//! - [`scenarios`] starts and stops what disturbs the service;
//! - [`pages`] is what people see.
//!
//! The server has a thread and a runtime of its own: a worker of the service that is blocked is what one comes here to
//! find. Nothing of it is traced.

mod access;
pub(crate) mod answer;
pub(crate) mod ask;
mod door;
mod manners;
pub(crate) mod pages;
mod peers;
mod profiles;
pub(crate) mod scenarios;
mod slots;
mod sources;
pub(crate) mod spans;
pub(crate) mod top;
mod traces;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get};
use tokio::sync::{Semaphore, watch};

pub use sources::Sources;

use crate::config::Config;
use crate::http::Served;
use crate::http::problem::{Kind, Problem};
use crate::http::server::{self, Bounds};
use crate::telemetry::Telemetry;
use crate::telemetry::profiler::ProfilerCounts;
use crate::telemetry::recent::RecentTraces;
use access::Access;
use manners::REFUSALS;
use peers::Peers;
use slots::Slots;

/// How long a client may take to send the head of a request: who says nothing takes the room of others.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to read an answer: 30 s for some megabytes is a slow link.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Profiles that are turned into names and written at once; each holds a thread and some megabytes.
const RENDERED_AT_ONCE: usize = 2;

/// Threads for that, for heap dumps and for the ends of captures.
const BLOCKING_THREADS: usize = 4;

/// What the handlers share.
#[derive(Debug)]
struct App {
    access: Access,
    sources: Sources,
    slots: Slots,
    peers: Peers,
    recent: Arc<RecentTraces>,
    counts: ProfilerCounts,
    rendering: Arc<Semaphore>,
    /// Turns true when the server stops: profiles that are being taken end early.
    stopping: watch::Receiver<bool>,
    service: String,
}

/// A running server.
#[derive(Debug)]
pub struct Diagnostics {
    stop: watch::Sender<bool>,
    thread: JoinHandle<io::Result<Served>>,
}

impl Diagnostics {
    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start(
        listener: TcpListener,
        config: &Config,
        to: &crate::config::Diagnostics,
        telemetry: &Telemetry,
        sources: Sources,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (stop, stopping) = watch::channel(false);
        let counts = ProfilerCounts::new(&telemetry.instruments, profiles::KINDS, REFUSALS.map(Kind::error_type));
        telemetry.instruments.observe_profiler({
            let sources = sources.clone();
            move || sources.reading()
        });
        let app = App {
            access: Access::new(to, listener.local_addr()?),
            sources,
            slots: Slots::default(),
            peers: Peers::new(to)?,
            recent: Arc::clone(&telemetry.recent),
            counts,
            rendering: Arc::new(Semaphore::new(RENDERED_AT_ONCE)),
            stopping: stopping.clone(),
            service: config.otel.service_name.clone(),
        };
        let bounds = Bounds {
            name: "diagnostics connection",
            connections: door::MAX_CONNECTIONS,
            header_timeout: HEADER_TIMEOUT,
            watched: true,
            write_timeout: WRITE_TIMEOUT,
            stop: config.shutdown_timeout,
        };
        let thread = std::thread::Builder::new()
            .name("diagnostics".to_owned())
            .spawn(move || serve(listener, Arc::new(app), stopping, bounds))?;
        Ok(Self { stop, thread })
    }

    /// Ends the profiles that are being taken, lets their clients read them, and ends. Blocks for at most the
    /// configured limit.
    ///
    /// # Errors
    /// When the server could not serve at all.
    pub fn stop(self) -> io::Result<Served> {
        // The receiver is gone when the thread has failed, which its result tells.
        let _ = self.stop.send(true);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the diagnostics panicked")))
    }
}

fn serve(
    listener: TcpListener,
    app: Arc<App>,
    mut stopping: watch::Receiver<bool>,
    bounds: Bounds,
) -> io::Result<Served> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build()?;
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stop = async {
            // Fails when the handle is gone, and then nobody wants the server either.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let admits = |peer, open: &HashMap<_, IpAddr>| door::admits(&app.access, peer, open.values().copied());
        Ok(server::serve(listener, router(&app), stop, bounds, admits).await)
    });
    // A blocking thread may still be writing what nobody waits for.
    runtime.shutdown_background();
    served
}

fn router(app: &Arc<App>) -> Router {
    let redirect = |to: &'static str| get(move || async move { Redirect::temporary(to) });
    let routes: [(&str, MethodRouter<Arc<App>>); 22] = [
        ("/", redirect(if app.sources.console().is_some() { "/console/" } else { "/debug/pprof/" })),
        ("/debug", redirect("/debug/pprof/")),
        ("/debug/", redirect("/debug/pprof/")),
        ("/debug/pprof", redirect("/debug/pprof/")),
        ("/debug/traces", redirect("/debug/spans")),
        ("/debug/traces/", redirect("/debug/spans")),
        ("/debug/style.css", get(pages::style)),
        ("/debug/pprof/", get(profiles::index)),
        ("/debug/pprof/profile", get(profiles::cpu)),
        ("/debug/pprof/heap", get(profiles::heap)),
        ("/debug/pprof/allocs", get(profiles::allocs)),
        ("/debug/pprof/goroutine", get(profiles::tasks)),
        ("/debug/pprof/trace", get(profiles::execution)),
        ("/debug/pprof/cmdline", get(profiles::cmdline)),
        ("/debug/pprof/block", get(profiles::unsupported)),
        ("/debug/pprof/mutex", get(profiles::unsupported)),
        ("/debug/pprof/threadcreate", get(profiles::unsupported)),
        // Go's takes the addresses in a body.
        ("/debug/pprof/symbol", get(profiles::unsupported).post(profiles::unsupported)),
        ("/debug/spans", get(spans::spans)),
        ("/debug/traces/{trace_id}", get(traces::trace)),
        ("/scenarios", get(scenarios::list)),
        ("/debug/{*path}", get(not_found).fallback(not_found)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        router = router.route(path, methods.fallback(|request| method_not_allowed(request, "GET, HEAD")));
    }
    let one = get(scenarios::show).post(scenarios::start).delete(scenarios::stop);
    let one = one.fallback(|request| method_not_allowed(request, "GET, HEAD, POST, DELETE"));
    router = router.route("/scenarios/{name}", one);
    if let Some(console) = app.sources.console() {
        router = router.merge(console.clone().with_state(()));
    }
    router.fallback(not_found).layer(from_fn_with_state(Arc::clone(app), manners::manners)).with_state(Arc::clone(app))
}

async fn not_found(request: Request) -> Problem {
    let detail = format!("nothing is served at {:?}: /debug/pprof/ lists what is", request.uri().path());
    Problem::new(Kind::NotFound, detail)
}

pub(crate) async fn method_not_allowed(request: Request, allowed: &'static str) -> Response {
    let detail = format!("{} is not allowed at {:?}: use {allowed}", request.method(), request.uri().path());
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
