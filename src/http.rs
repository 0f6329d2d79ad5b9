//! The public API: what is served where, within which limits, and observed how.
//!
//! - [`route`] lists the routes; [`work`], [`tasks`], [`ws`], [`metrics`], [`health`] and [`index`] answer them;
//! - [`observe`] gives each request its span and its record, [`limits`] bounds it, [`traceparent`] reads its parent, and
//!   [`origin`] the page that a browser sent it for;
//! - [`problem`] is the form of every refusal, [`params`] finds all faults of a query at once;
//! - [`server`] accepts connections and stops gracefully; [`worker`] is what a worker serves.

pub mod health;
pub mod index;
pub mod limits;
pub mod metrics;
pub mod observe;
pub mod origin;
pub mod params;
pub mod problem;
pub mod route;
pub mod server;
pub mod tasks;
pub mod traceparent;
pub mod work;
pub mod worker;
pub mod ws;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use span_profiler::tasks::spawn_named;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::config::Config;
use crate::error::chain;
use crate::telemetry::{ExportHealth, Telemetry};
use crate::workload::Workload;
use crate::workload::websocket::{self, Game};
use limits::Limits;
use observe::Observed;
use problem::{Kind, Problem};
use route::Route;
use server::Bounds;

pub use server::Served;

/// Connections of the API at once.
const MAX_CONNECTIONS: usize = 4_096;

/// How long a client of the API may take to read its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client may take to send the head of a request, also of the next one on an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What the handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    workload: Workload,
    game: Game,
    scrape: metrics::Scrape,
    health: Arc<ExportHealth>,
}

impl FromRef<App> for metrics::Scrape {
    fn from_ref(app: &App) -> Self {
        app.scrape.clone()
    }
}

/// Serves requests until `shutdown` resolves, then lets those in flight finish within the configured limit.
pub async fn run(
    listener: TcpListener,
    config: &Config,
    telemetry: &Telemetry,
    workload: Workload,
    shutdown: impl Future<Output = ()>,
) -> Served {
    let game = Game::new(websocket::Limits::new(config.max_websockets), telemetry);
    let app = App {
        workload: workload.clone(),
        game: game.clone(),
        scrape: metrics::Scrape::new(telemetry.exposition.clone()),
        health: Arc::clone(&telemetry.health),
    };
    let database = workload.database().clone();
    let opening = spawn_named("open the database", async move {
        if let Err(error) = database.open().await {
            tracing::warn!(error = chain(&error), "the database is not ready; each request and /readyz tries again");
        }
    });
    let bounds = Bounds {
        name: "connection",
        connections: MAX_CONNECTIONS,
        header_timeout: HEADER_TIMEOUT,
        watched: false,
        write_timeout: WRITE_TIMEOUT,
        stop: config.shutdown_timeout,
    };
    // Connections that became WebSockets are none of the server's any more, and the queue works on meanwhile: all three
    // have the same time.
    let (told, stopping) = oneshot::channel();
    let shutdown = async {
        shutdown.await;
        // The receiver waits below.
        let _ = told.send(());
    };
    let closing = async {
        // The sender is kept until then.
        let _ = stopping.await;
        tokio::join!(game.close(config.shutdown_timeout), workload.queue().close(config.shutdown_timeout))
    };
    let (served, (cut, _told)) =
        tokio::join!(server::serve(listener, router(app, config, telemetry), shutdown, bounds, |_, _| true), closing);
    opening.abort();
    workload.database().close().await;
    Served { cut: served.cut + cut }
}

/// All routes, each observed and limited.
fn router(app: App, config: &Config, telemetry: &Telemetry) -> Router {
    let api = Arc::new(Semaphore::new(config.max_concurrent_requests));
    let limits = |limited: bool| Limits {
        permits: limited.then(|| Arc::clone(&api)),
        max_body_bytes: config.max_body_bytes,
        timeout: config.request_timeout,
    };
    let observed = |route| Observed::new(route, telemetry, config.otel.trace_context);
    let mut router = Router::new();
    for route in &route::ROUTES {
        // The layers also wrap the refusal of other methods, which is a request like any other.
        let methods = handler(route)
            .fallback(|request| method_not_allowed(request, route.answer.methods()))
            .layer(from_fn_with_state(limits(route.limited), limits::limit))
            .layer(from_fn_with_state(observed(Some(route)), observe::observe));
        router = router.route(route.path, methods);
    }
    let unknown = get(not_found)
        .fallback(not_found)
        .layer(from_fn_with_state(limits(false), limits::limit))
        .layer(from_fn_with_state(observed(None), observe::observe));
    router.fallback_service(unknown.with_state(())).with_state(app)
}

fn handler(route: &Route) -> MethodRouter<App> {
    match route.answer {
        route::Answer::Index => get(index::index),
        route::Answer::Work => get(work::work),
        route::Answer::Tasks => get(tasks::counts).post(tasks::submit),
        route::Answer::Null => get(work::null),
        route::Answer::Game => get(ws::ws),
        route::Answer::Metrics => get(metrics::metrics),
        route::Answer::Alive => get(health::alive),
        route::Answer::Ready => get(health::ready),
    }
}

async fn not_found(request: Request) -> Problem {
    Problem::new(Kind::NotFound, format!("nothing is served at {:?}: / lists what is", request.uri().path()))
}

async fn method_not_allowed(request: Request, allowed: &'static str) -> Response {
    let detail = format!("{} is not allowed at {:?}: use {allowed}", request.method(), request.uri().path());
    let mut response = Problem::new(Kind::MethodNotAllowed, detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
