//! Every name this service emits, with its unit and boundaries, stated once.
//!
//! Semantic conventions come first; where none exist the names are the lab's own.
//! The unit `1` is never used because Prometheus would turn it into the suffix `_ratio`.

mod instrument;
pub mod websocket;

pub use instrument::{Instrument, Kind};

/// The instrumentation scope of all spans and metrics of this service.
pub const SCOPE: &str = "phaselab";

/// The default `service.name` of the resource.
pub const SERVICE_NAME: &str = "phaselab";

/// The default `service.name` of a worker.
pub const WORKER_SERVICE_NAME: &str = "phaselab-worker";

/// Boundaries of the semantic conventions for HTTP durations, in seconds.
pub const HTTP_BOUNDARIES: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Boundaries of the semantic conventions for database durations, in seconds.
pub const DB_BOUNDARIES: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Boundaries of the lab's own durations, in seconds: the SDK's defaults would put every request into one bucket.
pub const SECTION_BOUNDARIES: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Declares the instruments: constant, kind, name, unit, attributes, description.
macro_rules! instruments {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal, $unit:literal, [$($attribute:ident),*], $description:literal;)*) => {
        $(#[doc = concat!("`", $name, "`.")] $(#[$doc])* pub const $constant: Instrument = Instrument {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            attributes: &[$(attribute::$attribute),*],
            description: $description,
        };)*

        /// All instruments of the service, for tests, rules and documentation.
        pub const INSTRUMENTS: &[Instrument] = &[$($constant),*];
    };
}

instruments! {
    /// With [`HTTP_BOUNDARIES`].
    HTTP_SERVER_REQUEST_DURATION = Histogram "http.server.request.duration", "s",
        [HTTP_REQUEST_METHOD, URL_SCHEME, NETWORK_PROTOCOL_VERSION, HTTP_ROUTE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE],
        "Duration of HTTP server requests";
    HTTP_SERVER_ACTIVE_REQUESTS = UpDownCounter "http.server.active_requests", "{request}",
        [HTTP_REQUEST_METHOD, URL_SCHEME],
        "HTTP server requests in flight";
    /// With [`SECTION_BOUNDARIES`].
    SECTION_DURATION = Histogram "section.duration", "s", [SECTION], "Duration of one phase of the work";
    WORK_LOOP_ITERATIONS = Counter "work.loop.iterations", "{iteration}",
        [],
        "Iterations of the checksum loop that were run";
    /// With [`DB_BOUNDARIES`].
    DB_CLIENT_OPERATION_DURATION = Histogram "db.client.operation.duration", "s",
        [DB_SYSTEM_NAME, DB_OPERATION_NAME, DB_COLLECTION_NAME, ERROR_TYPE],
        "Duration of database client operations";
    APP_TASKS_CURRENT = Gauge "app.tasks.current", "{task}", [], "Workers of the ramp that run now";
    APP_TASKS_CREATED = Counter "app.tasks.created", "{task}", [], "Workers that the ramp has started";
    APP_PHASE = Gauge "app.phase", "{phase}", [PHASE], "1 for the phase that the ramp is in, 0 for the other";
    APP_SCALING_RATE = Gauge "app.scaling.rate", "{task}",
        [],
        "Change of the number of workers that the ramp aims at, per tick";
    WORKER_ACTIVE_TASKS = Gauge "worker.active.tasks", "{task}", [WORKER_TYPE], "Tasks of the worker that are alive";
    WORKER_ALLOCATED_MEMORY = Gauge "worker.allocated.memory", "By",
        [WORKER_TYPE],
        "Memory that the worker has allocated and not freed";
    WORKER_ALLOCATIONS = Counter "worker.allocations", "By", [WORKER_TYPE], "Memory that the worker has ever allocated";
    WORKER_ALLOCATOR_PURGES = Counter "worker.allocator.purges", "{purge}",
        [WORKER_TYPE],
        "Times that the allocator gave pages back";
    WORKER_TASKS_PROCESSED = Counter "worker.tasks.processed", "{task}",
        [WORKER_TYPE, OPERATION],
        "Tasks that the worker has processed";
    WORKER_TASKS_IN_QUEUE = Gauge "worker.tasks.in_queue", "{task}",
        [WORKER_TYPE],
        "Tasks that wait in the queue of the worker";
    /// With [`SECTION_BOUNDARIES`].
    WORKER_TASK_PROCESSING_DURATION = Histogram "worker.task.processing.duration", "s",
        [WORKER_TYPE, OPERATION],
        "Duration of one task of the worker";
    WORKER_TASK_ERRORS = Counter "worker.task.errors", "{error}",
        [WORKER_TYPE, OPERATION, ERROR_TYPE],
        "Tasks of the worker that failed";
    APP_HEAP_ALLOC = Gauge "app.heap.alloc", "By", [], "Memory that is allocated on the heap";
    APP_HEAP_OBJECTS = Gauge "app.heap.objects", "{object}", [], "Objects that are allocated on the heap";
    APP_OPEN_FILES = Gauge "app.open.files", "{file}", [], "Files that are open";
    APP_OPEN_CONNECTIONS = Gauge "app.open.connections", "{connection}", [], "Sockets that are open, also those that listen";
    APP_DB_POOL_ACTIVE = Gauge "app.db.pool.active", "{connection}",
        [],
        "Connections of the database pool that are in use";
    APP_DB_POOL_IDLE = Gauge "app.db.pool.idle", "{connection}", [], "Connections of the database pool that are free";
    APP_QUEUE_DEPTH = Gauge "app.queue.depth", "{task}", [], "Tasks that wait in the queue";
    APP_QUEUE_CAPACITY = Gauge "app.queue.capacity", "{task}", [], "Tasks that the queue can hold";
    APP_TASKS_REJECTED = Counter "app.tasks.rejected", "{task}",
        [],
        "Tasks that were turned away because the queue was full";
    TOKIO_TASKS_ALIVE = Gauge "tokio.tasks.alive", "{task}", [], "Tasks of the runtime that are alive";
    TOKIO_TASKS_BY_NAME = Gauge "tokio.tasks.by_name", "{task}", [NAME], "Tasks that are alive by name";
    TOKIO_WORKERS = Gauge "tokio.workers", "{thread}", [], "Threads of the runtime that run tasks";
    TOKIO_WORKER_BUSY = Counter "tokio.worker.busy", "s", [], "Time that the threads of the runtime were busy";
    TOKIO_WORKER_PARKS = Counter "tokio.worker.parks", "{park}", [], "Times that a thread of the runtime went to sleep";
    TOKIO_GLOBAL_QUEUE_DEPTH = Gauge "tokio.global_queue.depth", "{task}",
        [],
        "Tasks that wait in the queue of the whole runtime";
    JEMALLOC_ALLOCATED = Gauge "jemalloc.allocated", "By", [], "Memory that the program has allocated";
    JEMALLOC_ACTIVE = Gauge "jemalloc.active", "By", [], "Memory of pages that hold allocations";
    JEMALLOC_RESIDENT = Gauge "jemalloc.resident", "By", [], "Memory of the allocator that is resident";
    JEMALLOC_MAPPED = Gauge "jemalloc.mapped", "By", [], "Memory of the extents that the allocator has mapped";
    JEMALLOC_RETAINED = Gauge "jemalloc.retained", "By", [], "Memory that the allocator keeps reserved";
    JEMALLOC_METADATA = Gauge "jemalloc.metadata", "By", [], "Memory of the allocator itself";
    JEMALLOC_ALLOCATIONS = Counter "jemalloc.allocations", "By",
        [],
        "Memory that was allocated since sampling began, estimated from samples";
    JEMALLOC_MALLOCS = Counter "jemalloc.mallocs", "{object}",
        [],
        "Pieces of memory that were allocated since sampling began, estimated from samples";
    JEMALLOC_FREES = Counter "jemalloc.frees", "{object}",
        [],
        "Pieces of memory that were freed since sampling began, estimated from samples";
    JEMALLOC_PURGES = Counter "jemalloc.purges", "{purge}", [], "Times that the allocator gave pages back";
    PROCESS_CPU_TIME = Counter "process.cpu.time", "s", [CPU_MODE], "CPU time of the process by mode";
    PROCESS_MEMORY_USAGE = UpDownCounter "process.memory.usage", "By", [], "Resident memory of the process";
    PROCESS_MEMORY_VIRTUAL = UpDownCounter "process.memory.virtual", "By", [], "Virtual memory of the process";
    PROCESS_THREAD_COUNT = UpDownCounter "process.thread.count", "{thread}", [], "Threads of the process";
    PROCESS_FD_COUNT = UpDownCounter "process.unix.file_descriptor.count", "{file_descriptor}",
        [],
        "Open file descriptors of the process";
    PROCESS_FD_LIMIT = Gauge "process.unix.file_descriptor.limit", "{file_descriptor}",
        [],
        "Soft limit of open file descriptors";
    PROCESS_START_TIME = Gauge "process.start_time", "s", [], "Start of the process in seconds since the Unix epoch";
    PROCESS_UPTIME = Gauge "process.uptime", "s", [], "Time since the process started";
    WEBSOCKET_CONNECTIONS_ACTIVE = UpDownCounter "websocket.connections.active", "{connection}",
        [],
        "WebSocket connections that are open";
    WEBSOCKET_SESSIONS_ACTIVE = UpDownCounter "websocket.sessions.active", "{session}", [], "Game sessions that are open";
    WEBSOCKET_MESSAGES_SENT = Counter "websocket.messages.sent", "{message}",
        [KIND],
        "WebSocket messages that were sent";
    WEBSOCKET_MESSAGES_RECEIVED = Counter "websocket.messages.received", "{message}",
        [KIND],
        "WebSocket messages that were received";
    WEBSOCKET_BYTES_SENT = Counter "websocket.bytes.sent", "By",
        [KIND],
        "Payload of the WebSocket messages that were sent";
    WEBSOCKET_BYTES_RECEIVED = Counter "websocket.bytes.received", "By",
        [KIND],
        "Payload of the WebSocket messages that were received";
    WEBSOCKET_BROADCASTS = Counter "websocket.broadcasts", "{broadcast}", [KIND], "Messages that went to a whole room";
    /// With [`SECTION_BOUNDARIES`].
    WEBSOCKET_PROCESSING_DURATION = Histogram "websocket.message.processing.duration", "s",
        [KIND],
        "Duration of handling one message";
    WEBSOCKET_ERRORS = Counter "websocket.errors", "{error}", [KIND], "Messages that could not be handled";
    WEBSOCKET_CONNECTION_ERRORS = Counter "websocket.connection.errors", "{error}",
        [KIND],
        "Connections that ended with an error";
    PROFILER_SAMPLES = Counter "profiler.samples", "{sample}", [], "CPU samples that the profiler has taken";
    PROFILER_SAMPLES_LOST = Counter "profiler.samples.lost", "{sample}",
        [],
        "CPU samples that the profiler had no room for";
    PROFILER_RECORDER_BYTES = Gauge "profiler.recorder.bytes", "By",
        [],
        "Memory of the samples that the recorder keeps";
    PROFILER_PROFILES = Counter "profiler.profiles", "{profile}", [KIND], "Profiles that were given away by kind";
    PROFILER_REFUSED = Counter "profiler.refused", "{request}",
        [REASON],
        "Requests for diagnostics that were refused by reason";
    SCENARIO_ACTIVE = Gauge "scenario.active", "{scenario}", [SCENARIO], "1 while the scenario runs";
    /// Of `phaselab verify --watch` and not of the service.
    VERIFY_EXEMPLARS = Gauge "verify.exemplars", "{exemplar}",
        [RESULT],
        "Exemplars of the last round of questions by result";
}

/// What the exemplars' crate counts about itself, with the same resource; declared there.
pub const EXEMPLARS: &[Instrument] = &[
    exemplars("exemplars.offered", &[], "Records that found their bucket's slot free inside a sampled span"),
    exemplars("exemplars.picked", &[], "Offered exemplars that claimed their slot and marked their span"),
    exemplars("exemplars.shipped", &[], "Exemplars that left after their span's export was acknowledged"),
    exemplars("exemplars.dropped", &[attribute::REASON], "Offered exemplars that will not be seen, by reason"),
];

const fn exemplars(name: &'static str, attributes: &'static [&'static str], description: &'static str) -> Instrument {
    Instrument { name, kind: Kind::Counter, unit: "{exemplar}", attributes, description }
}

/// Attribute keys.
pub mod attribute {
    /// `error.type`: the class of a failure, out of a closed set.
    pub const ERROR_TYPE: &str = "error.type";
    /// `http.request.method`, one of the known methods or `_OTHER`.
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    /// `http.request.method_original`: an unknown method as it was sent.
    pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
    /// `http.response.status_code` as a number.
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    /// `http.route`: the matched pattern, never the path.
    pub const HTTP_ROUTE: &str = "http.route";
    /// `network.protocol.version`: `1.0` or `1.1`.
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    /// `url.scheme`.
    pub const URL_SCHEME: &str = "url.scheme";
    /// `url.path`.
    pub const URL_PATH: &str = "url.path";
    /// `url.query`.
    pub const URL_QUERY: &str = "url.query";
    /// `section`: the phase of the work.
    pub const SECTION: &str = "section";
    /// `db.system.name`.
    pub const DB_SYSTEM_NAME: &str = "db.system.name";
    /// `db.operation.name`.
    pub const DB_OPERATION_NAME: &str = "db.operation.name";
    /// `db.collection.name`.
    pub const DB_COLLECTION_NAME: &str = "db.collection.name";
    /// `db.query.summary`: the operation and the collection.
    pub const DB_QUERY_SUMMARY: &str = "db.query.summary";
    /// `cpu.mode`: `user` or `system`.
    pub const CPU_MODE: &str = "cpu.mode";
    /// `result`: what became of an exemplar.
    pub const RESULT: &str = "result";
    /// `kind`: which profile was taken; which WebSocket message it was, or what was wrong with it.
    pub const KIND: &str = "kind";
    /// `scenario`: the name of a scenario.
    pub const SCENARIO: &str = "scenario";
    /// `phase` of the ramp: `increasing` or `decreasing`.
    pub const PHASE: &str = "phase";
    /// `worker_type`: `bad` or `optimized`.
    pub const WORKER_TYPE: &str = "worker_type";
    /// `operation`: what a task of a worker does.
    pub const OPERATION: &str = "operation";
    /// `worker.task.id`: the number of a task, on its span alone.
    pub const WORKER_TASK_ID: &str = "worker.task.id";
    /// `room`: the room of a WebSocket message, in spans alone.
    pub const ROOM: &str = "room";
    /// `recipients`: how many players a broadcast was given to, in spans alone.
    pub const RECIPIENTS: &str = "recipients";
    /// `task.id`: the number of a queued task.
    pub const TASK_ID: &str = "task.id";
    /// `scenario.parameters`: what was chosen.
    pub const SCENARIO_PARAMETERS: &str = "scenario.parameters";
    /// `reason`: why a client was turned away or an exemplar dropped, out of a closed set.
    pub const REASON: &str = "reason";
    /// `name`: the name that a task was spawned under, out of a closed set.
    pub const NAME: &str = "name";
}

/// The known request methods; the last entry stands for all others, so that a client cannot make series.
pub const METHODS: [&str; 11] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "_OTHER"];

/// The position of a method in [`METHODS`]; methods are case-sensitive.
#[must_use]
pub fn method_index(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

/// A phase of the work: the value of the attribute `section` and the name of its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Real queries, and the latency that was asked for.
    DbQuery,
    /// The checksum loop.
    CpuLoop,
    /// Encoding of the payload.
    JsonEncode,
}

impl Section {
    /// All phases, in the order in which a request runs them.
    pub const ALL: [Self; 3] = [Self::DbQuery, Self::CpuLoop, Self::JsonEncode];

    /// The phase's name in metrics, spans and parameters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DbQuery => "db_query",
            Self::CpuLoop => "cpu_loop",
            Self::JsonEncode => "json_encode",
        }
    }

    /// The phase with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_unit_is_one() {
        let mut names: Vec<_> = INSTRUMENTS.iter().map(|one| one.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        assert!(INSTRUMENTS.iter().all(|one| ["s", "By"].contains(&one.unit) || one.unit.starts_with('{')));
    }

    #[test]
    fn boundaries_ascend() {
        for boundaries in [HTTP_BOUNDARIES, DB_BOUNDARIES, SECTION_BOUNDARIES] {
            assert!(boundaries.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
