//! What a worker serves: its metrics, and whether it lives.

use std::future::Future;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;

use super::observe::{self, Observed};
use super::problem::{Kind, Problem};
use super::route::{Answer, ROUTES};
use super::server::{self, Bounds, Served};
use super::{health, method_not_allowed, metrics};
use crate::config::Config;
use crate::telemetry::Telemetry;

/// Connections at once: some scrapers and some people.
const MAX_CONNECTIONS: usize = 64;

/// Serves until `shutdown` resolves.
pub async fn run(
    listener: TcpListener,
    config: &Config,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()>,
) -> Served {
    let bounds = Bounds {
        name: "connection",
        connections: MAX_CONNECTIONS,
        header_timeout: super::HEADER_TIMEOUT,
        watched: false,
        write_timeout: super::WRITE_TIMEOUT,
        stop: config.shutdown_timeout,
    };
    server::serve(listener, router(config, telemetry), shutdown, bounds, |_, _| true).await
}

fn router(config: &Config, telemetry: &Telemetry) -> Router {
    let observed = |route| {
        let observed = Observed::new(route, telemetry, config.otel.trace_context);
        from_fn_with_state(observed, observe::observe)
    };
    let mut router = Router::new();
    for route in &ROUTES {
        let methods = match route.answer {
            Answer::Metrics => get(metrics::metrics),
            // It needs nothing but itself, so it is ready when it answers.
            Answer::Alive | Answer::Ready => get(health::alive),
            _ => continue,
        };
        router = router.route(
            route.path,
            methods
                .fallback(|request| method_not_allowed(request, route.answer.methods()))
                .layer(observed(Some(route))),
        );
    }
    router.fallback(not_found).with_state(metrics::Scrape::new(telemetry.exposition.clone()))
}

async fn not_found(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(Kind::NotFound, format!("a worker serves /metrics, /healthz and /readyz, and nothing at {path:?}"))
}
