//! The routes, once: the router, the index and the metrics read this table.

/// What answers a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The list of routes.
    Index,
    /// The phases of the work.
    Work,
    /// The queue.
    Tasks,
    /// Nothing, as fast as possible.
    Null,
    /// The game.
    Game,
    /// The metrics.
    Metrics,
    /// Whether the process answers.
    Alive,
    /// Whether the process can do its work.
    Ready,
}

impl Answer {
    /// The methods that it answers.
    #[must_use]
    pub const fn methods(self) -> &'static str {
        match self {
            Self::Tasks => "GET, HEAD, POST",
            _ => "GET, HEAD",
        }
    }
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// The pattern, which is also the value of `http.route`.
    pub path: &'static str,
    /// What answers.
    pub answer: Answer,
    /// Whether requests have a span; probes and scrapes would only fill the trace store.
    pub traced: bool,
    /// Whether requests count against the concurrency limit; what watches the service must get through.
    pub limited: bool,
    /// Whether alerts watch how many of its requests fail.
    pub has_objective: bool,
    /// What it is for.
    pub about: &'static str,
    /// A link that shows something.
    pub example: &'static str,
}

/// All routes, in the order of the index.
pub const ROUTES: [Route; 8] = [
    Route {
        path: "/",
        answer: Answer::Index,
        traced: true,
        limited: false,
        has_objective: false,
        about: "this list, as HTML or (Accept: application/json) JSON",
        example: "/",
    },
    Route {
        path: "/api/work",
        answer: Answer::Work,
        traced: true,
        limited: true,
        has_objective: true,
        about: "work in phases: a database query (db_ms adds latency), a checksum loop (loop_iterations) and an encoded \
                payload (items rows); fail names a phase that fails",
        example: "/api/work?db_ms=5&loop_iterations=20000&items=10",
    },
    Route {
        path: "/api/tasks",
        answer: Answer::Tasks,
        traced: true,
        limited: true,
        has_objective: false,
        about: "the queue: POST sends a task that takes work_ms and is answered with 202, or 429 when the queue is full; \
                GET counts what became of all tasks",
        example: "/api/tasks",
    },
    Route {
        path: "/api/null",
        answer: Answer::Null,
        traced: true,
        limited: true,
        has_objective: false,
        about: "no work at all: one span and one record, to measure what telemetry costs",
        example: "/api/null",
    },
    Route {
        path: "/ws",
        answer: Answer::Game,
        traced: true,
        // It has a limit of its own, which counts for as long as the connection lasts.
        limited: false,
        has_objective: false,
        about: "the game, for WebSocket clients alone: docs/websocket.md has the messages; bots play it with phaselab \
                load --scenario websocket",
        example: "/ws",
    },
    Route {
        path: "/metrics",
        answer: Answer::Metrics,
        traced: false,
        limited: false,
        has_objective: false,
        about: "metrics for Prometheus: OpenMetrics with exemplars, or plain text, as Accept asks",
        example: "/metrics",
    },
    Route {
        path: "/healthz",
        answer: Answer::Alive,
        traced: false,
        limited: false,
        has_objective: false,
        about: "whether the process answers",
        example: "/healthz",
    },
    Route {
        path: "/readyz",
        answer: Answer::Ready,
        traced: false,
        limited: false,
        has_objective: false,
        about: "whether the process can do its work, and which dependency is missing if not",
        example: "/readyz",
    },
];
