//! The embedded console: what the stack shows, out of this one process.
//!
//! - [`store`] remembers traces, exemplars and metrics within `PHASELAB_CONSOLE_BYTES`; [`feed`] brings them there;
//! - [`overview`], [`histogram`], [`trace`] and [`search`] are what is found there, [`pages`] shows it to people and [`api`] to scripts;
//! - the diagnostics server serves both under its access rules.
//!
//! The console is fed by the one telemetry pipeline: a tap on ended spans and picked exemplars, and the shared reader of the
//! metrics. It acknowledges exemplars by itself (see [`store`]), so it needs no collector.

mod api;
mod blocking;
pub mod feed;
mod histogram;
mod overview;
mod pages;
mod search;
pub mod store;
mod trace;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get, post};

use crate::config::Config;
use crate::diagnostics::{Sources, method_not_allowed};
use crate::telemetry::{Tap, Telemetry};
use feed::Feed;
use store::{Counts, History, Store};

/// Of all bytes, what the metrics may take; the traces have the rest.
const HISTORY_SHARE: usize = 4;

/// The body of a form, which has a few short fields.
const MAX_FORM_BYTES: usize = 16 << 10;

/// What is remembered, and what brings it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Console {
    store: Arc<Store>,
    history: Arc<History>,
    feed: Arc<Feed>,
    service: Arc<str>,
}

/// What the handlers share.
#[derive(Debug)]
struct App {
    console: Console,
    sources: Sources,
}

/// The thread that files and collects; it stops when this is dropped.
#[derive(Debug)]
pub struct Filing {
    feed: Arc<Feed>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// The console, unless the configuration has none: it needs the diagnostics server and the SDK.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        let on = config.console_bytes > 0 && config.diagnostics.is_some() && !config.otel.disabled;
        on.then(|| {
            let for_history = config.console_bytes / HISTORY_SHARE;
            let store = Arc::new(Store::new(config.console_bytes - for_history));
            Self {
                feed: Arc::new(Feed::new(Arc::clone(&store))),
                store,
                history: Arc::new(History::new(for_history)),
                service: config.otel.service_name.as_str().into(),
            }
        })
    }

    /// What hears of spans and exemplars.
    #[must_use]
    pub fn tap(&self) -> Arc<dyn Tap> {
        Arc::clone(&self.feed) as Arc<dyn Tap>
    }

    /// Starts to file what the tap hears and to collect metrics.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(&self, telemetry: &Telemetry) -> io::Result<Filing> {
        let (feed, history) = (Arc::clone(&self.feed), Arc::clone(&self.history));
        let exposition = telemetry.exposition.clone();
        let run = move || feed.run(&history, exposition.as_ref());
        let thread = std::thread::Builder::new().name("console".to_owned()).spawn(run)?;
        Ok(Filing { feed: Arc::clone(&self.feed), thread: Some(thread) })
    }

    /// What the diagnostics server serves besides its own.
    pub fn router(&self, sources: Sources) -> Router {
        let routes: [(&str, MethodRouter<Arc<App>>); 12] = [
            ("/console", get(|| async { Redirect::temporary("/console/") })),
            ("/console/", get(pages::overview::page)),
            ("/console/histogram", get(pages::histogram::page)),
            ("/console/console.css", get(pages::style)),
            ("/console/refresh.js", get(pages::script)),
            ("/console/api/overview", get(api::overview)),
            ("/console/api/histogram", get(api::histogram)),
            ("/console/api/metrics", get(api::metrics)),
            ("/console/trace/{id}", get(pages::trace::page)),
            ("/console/search", get(pages::search::page)),
            ("/console/api/trace/{id}", get(api::trace)),
            ("/console/api/search", get(api::search)),
        ];
        let forms: [(&str, MethodRouter<Arc<App>>); 1] =
            [("/console/scenarios/{name}", post(pages::scenarios::switch))];
        let mut router = Router::new();
        for (path, methods) in routes {
            router = router.route(path, methods.fallback(|request| method_not_allowed(request, "GET, HEAD")));
        }
        for (path, methods) in forms {
            router = router.route(path, methods.fallback(|request| method_not_allowed(request, "POST")));
        }
        let app = App { console: self.clone(), sources };
        router.layer(DefaultBodyLimit::max(MAX_FORM_BYTES)).with_state(Arc::new(app))
    }

    /// What is kept and what is not.
    fn counts(&self) -> Counts {
        let counts = self.store.counts();
        let (bytes, limit, series_left_out) = self.history.room();
        Counts {
            bytes: counts.bytes + bytes,
            bytes_limit: counts.bytes_limit + limit,
            spans_dropped: self.feed.dropped(),
            series_left_out,
            ..counts
        }
    }
}

impl Drop for Filing {
    fn drop(&mut self) {
        self.feed.stop();
        // A thread that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
