//! Every name this service emits, with its unit and boundaries, stated once.
//!
//! Semantic conventions come first; where none exist the names are the lab's own.
//! The unit `1` is never used because Prometheus would turn it into the suffix `_ratio`.

/// The instrumentation scope of all spans and metrics of this service.
pub const SCOPE: &str = "phaselab";

/// The default `service.name` of the resource.
pub const SERVICE_NAME: &str = "phaselab";

/// Boundaries of the semantic conventions for HTTP durations, in seconds.
pub const HTTP_BOUNDARIES: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Boundaries of the semantic conventions for database durations, in seconds.
pub const DB_BOUNDARIES: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Boundaries of the lab's own durations, in seconds: the SDK's defaults would put every request into one bucket.
pub const SECTION_BOUNDARIES: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What an instrument is called and measured in.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// The name in OpenTelemetry's spelling.
    pub name: &'static str,
    /// The unit (UCUM, or an annotation such as `{request}`).
    pub unit: &'static str,
    /// One sentence for the backends.
    pub description: &'static str,
}

/// Declares the instruments: constant, name, unit, description.
macro_rules! instruments {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $unit:literal, $description:literal;)*) => {
        $($(#[$doc])* pub const $constant: Instrument =
            Instrument { name: $name, unit: $unit, description: $description };)*

        /// All instruments of the service, for tests and documentation.
        pub const INSTRUMENTS: &[Instrument] = &[$($constant),*];
    };
}

instruments! {
    /// Histogram with [`HTTP_BOUNDARIES`].
    HTTP_SERVER_REQUEST_DURATION = "http.server.request.duration", "s", "Duration of HTTP server requests";
    /// Up-down counter.
    HTTP_SERVER_ACTIVE_REQUESTS = "http.server.active_requests", "{request}", "HTTP server requests in flight";
    /// Histogram with [`SECTION_BOUNDARIES`].
    SECTION_DURATION = "section.duration", "s", "Duration of one phase of the work";
    /// Counter.
    WORK_LOOP_ITERATIONS = "work.loop.iterations", "{iteration}", "Iterations of the checksum loop that were run";
    /// Histogram with [`DB_BOUNDARIES`].
    DB_CLIENT_OPERATION_DURATION = "db.client.operation.duration", "s", "Duration of database client operations";
    /// Counter by `cpu.mode`.
    PROCESS_CPU_TIME = "process.cpu.time", "s", "CPU time of the process by mode";
    /// Up-down counter.
    PROCESS_MEMORY_USAGE = "process.memory.usage", "By", "Resident memory of the process";
    /// Up-down counter.
    PROCESS_MEMORY_VIRTUAL = "process.memory.virtual", "By", "Virtual memory of the process";
    /// Up-down counter.
    PROCESS_THREAD_COUNT = "process.thread.count", "{thread}", "Threads of the process";
    /// Up-down counter.
    PROCESS_FD_COUNT = "process.unix.file_descriptor.count", "{file_descriptor}", "Open file descriptors of the process";
    /// Gauge.
    PROCESS_FD_LIMIT = "process.unix.file_descriptor.limit", "{file_descriptor}", "Soft limit of open file descriptors";
    /// Gauge, seconds since the Unix epoch.
    PROCESS_START_TIME = "process.start_time", "s", "Start of the process in seconds since the Unix epoch";
    /// Gauge.
    PROCESS_UPTIME = "process.uptime", "s", "Time since the process started";
    /// Counter.
    PROFILER_SAMPLES = "profiler.samples", "{sample}", "CPU samples that the profiler has taken";
    /// Counter.
    PROFILER_SAMPLES_LOST = "profiler.samples.lost", "{sample}", "CPU samples that the profiler had no room for";
    /// Gauge.
    PROFILER_RECORDER_BYTES = "profiler.recorder.bytes", "By", "Memory of the samples that the recorder keeps";
    /// Counter by `kind`.
    PROFILER_PROFILES = "profiler.profiles", "{profile}", "Profiles that were given away by kind";
    /// Counter by `reason`.
    PROFILER_REFUSED = "profiler.refused", "{request}", "Requests for diagnostics that were refused by reason";
    /// Gauge by `scenario`: 1 while it runs, otherwise 0.
    SCENARIO_ACTIVE = "scenario.active", "{scenario}", "Whether a scenario is running";
    /// Gauge.
    APP_TASKS_CURRENT = "app.tasks.current", "{task}", "Workers of the ramp that are alive";
    /// Counter.
    APP_TASKS_CREATED = "app.tasks.created", "{task}", "Workers that the ramp has started";
    /// Gauge by `phase`: 1 for the phase that the ramp is in, otherwise 0.
    APP_PHASE = "app.phase", "{phase}", "Whether the ramp is in this phase";
    /// Gauge, negative on the way down.
    APP_SCALING_RATE = "app.scaling.rate", "{task}", "Change of the ramp's target with its last tick of 100 ms";
    /// Gauge, the same number as [`JEMALLOC_ALLOCATED`].
    APP_HEAP_ALLOC = "app.heap.alloc", "By", "Memory that the program has allocated and not freed";
    /// Gauge.
    APP_HEAP_OBJECTS = "app.heap.objects", "{object}", "Pieces of memory that were handed out and not given back";
    /// Gauge.
    APP_OPEN_FILES = "app.open.files", "{file}", "File descriptors of the process that are files";
    /// Gauge.
    APP_OPEN_CONNECTIONS = "app.open.connections", "{connection}", "File descriptors of the process that are sockets";
    /// Gauge.
    APP_DB_POOL_ACTIVE = "app.db.pool.active", "{connection}", "Database connections in use";
    /// Gauge.
    APP_DB_POOL_IDLE = "app.db.pool.idle", "{connection}", "Database connections that wait for use";
    /// Gauge.
    APP_QUEUE_DEPTH = "app.queue.depth", "{task}", "Tasks that wait in the queue";
    /// Gauge.
    APP_QUEUE_CAPACITY = "app.queue.capacity", "{task}", "Tasks that can wait in the queue";
    /// Counter.
    APP_TASKS_REJECTED = "app.tasks.rejected", "{task}", "Tasks that were turned away because the queue was full";
    /// Gauge.
    TOKIO_TASKS_ALIVE = "tokio.tasks.alive", "{task}", "Tasks of the runtime that have not ended";
    /// Gauge by `name`, of tasks that were given one.
    TOKIO_TASKS_BY_NAME = "tokio.tasks.by_name", "{task}", "Tasks that have not ended by name";
    /// Gauge.
    TOKIO_WORKERS = "tokio.workers", "{thread}", "Worker threads of the runtime";
    /// Counter.
    TOKIO_WORKER_BUSY = "tokio.worker.busy", "s", "Time that the workers of the runtime have spent on tasks";
    /// Counter.
    TOKIO_WORKER_PARKS = "tokio.worker.parks", "{park}", "Times that a worker of the runtime went to sleep";
    /// Gauge.
    TOKIO_GLOBAL_QUEUE_DEPTH = "tokio.global_queue.depth", "{task}", "Tasks that wait for a worker to pick them up";
    /// Gauge.
    JEMALLOC_ALLOCATED = "jemalloc.allocated", "By", "Memory that the program has allocated and not freed";
    /// Gauge.
    JEMALLOC_ACTIVE = "jemalloc.active", "By", "Memory in pages with at least one allocation";
    /// Gauge.
    JEMALLOC_RESIDENT = "jemalloc.resident", "By", "Memory of the allocator that is physically there";
    /// Gauge.
    JEMALLOC_MAPPED = "jemalloc.mapped", "By", "Memory in mappings that are in use";
    /// Gauge.
    JEMALLOC_RETAINED = "jemalloc.retained", "By", "Addresses that are kept for later";
    /// Gauge.
    JEMALLOC_METADATA = "jemalloc.metadata", "By", "Memory of the allocator's own records";
    /// Counter.
    JEMALLOC_ALLOCATIONS = "jemalloc.allocations", "By", "Memory that was allocated since sampling began, estimated from samples";
    /// Counter.
    JEMALLOC_MALLOCS = "jemalloc.mallocs", "{object}", "Pieces of memory that were allocated since sampling began, estimated from samples";
    /// Counter.
    JEMALLOC_FREES = "jemalloc.frees", "{object}", "Pieces of memory that were freed since sampling began, estimated from samples";
    /// Counter.
    JEMALLOC_PURGES = "jemalloc.purges", "{purge}", "Times that unused memory was given back to the system";
    /// Gauge by `result`, of `phaselab verify --watch` and not of the service.
    VERIFY_EXEMPLARS = "verify.exemplars", "{exemplar}", "Exemplars of the last round of questions by result";
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
    /// `kind`: which profile was taken.
    pub const KIND: &str = "kind";
    /// `scenario`: the name of a scenario.
    pub const SCENARIO: &str = "scenario";
    /// `phase` of the ramp: `increasing` or `decreasing`.
    pub const PHASE: &str = "phase";
    /// `name` of a kind of tasks.
    pub const NAME: &str = "name";
    /// `task.id`: the number of a queued task.
    pub const TASK_ID: &str = "task.id";
    /// `scenario.parameters`: what was chosen.
    pub const SCENARIO_PARAMETERS: &str = "scenario.parameters";
    /// `reason`: why a client was turned away, out of a closed set.
    pub const REASON: &str = "reason";
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
        assert!(INSTRUMENTS.iter().all(|one| one.unit != "1"));
    }

    #[test]
    fn boundaries_ascend() {
        for boundaries in [HTTP_BOUNDARIES, DB_BOUNDARIES, SECTION_BOUNDARIES] {
            assert!(boundaries.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
