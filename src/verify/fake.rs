//! A Prometheus, a Tempo and a Jaeger that answer from one small world, in the forms of the real ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::trace::hex;

/// Boundaries of every histogram of the world; `+Inf` is the last bucket.
pub(super) const BOUNDS: [f64; 4] = [0.1, 0.25, 1.0, f64::INFINITY];

/// The service that the world's series belong to.
pub(super) const SELECTOR: &str = "job=\"phaselab\"";

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) metrics: Vec<FakeMetric>,
    /// Spans by the id of their trace.
    pub(super) traces: BTreeMap<String, Vec<FakeSpan>>,
    /// Answer of the store to any trace instead of the true one.
    pub(super) store_fails: Option<StatusCode>,
}

#[derive(Debug, Clone)]
pub(super) struct FakeMetric {
    pub(super) name: &'static str,
    pub(super) exemplars: Vec<FakeExemplar>,
}

#[derive(Debug, Clone)]
pub(super) struct FakeExemplar {
    /// Boundary of the bucket it hangs on.
    pub(super) le: f64,
    pub(super) value: f64,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) timestamp: f64,
}

#[derive(Debug, Clone)]
pub(super) struct FakeSpan {
    pub(super) id: String,
    pub(super) marked: bool,
    pub(super) millis: u64,
}

impl World {
    /// Three histograms with four exemplars each, one per bucket, all of which resolve and are two minutes old.
    pub(super) fn sound() -> Self {
        let mut world = Self { metrics: Vec::new(), traces: BTreeMap::new(), store_fails: None };
        let timestamp = super::seconds(SystemTime::now()) - 120.0;
        for (m, name) in
            ["http_server_request_duration_seconds", "section_duration_seconds", "queue_length"].iter().enumerate()
        {
            let mut exemplars = Vec::new();
            for (b, (le, value)) in BOUNDS.into_iter().zip([0.05, 0.2, 0.9, 2.0]).enumerate() {
                let (trace_id, span_id) =
                    (format!("{:032x}", 1000 * m + b + 1), format!("{:016x}", 5000 + 100 * m + b));
                let millis = if value < 1.0 { 1_000 } else { 2_000 };
                let root = FakeSpan { id: format!("{:016x}", 9000 + 100 * m + b), marked: false, millis };
                let span = FakeSpan { id: span_id.clone(), marked: true, millis };
                world.traces.insert(trace_id.clone(), vec![root, span]);
                exemplars.push(FakeExemplar { le, value, trace_id, span_id, timestamp });
            }
            world.metrics.push(FakeMetric { name, exemplars });
        }
        world
    }

    pub(super) fn exemplar(&mut self, metric: usize, bucket: usize) -> &mut FakeExemplar {
        &mut self.metrics[metric].exemplars[bucket]
    }

    /// The trace of an exemplar: its root, and then the exemplar's span.
    pub(super) fn trace_of(&mut self, metric: usize, bucket: usize) -> &mut Vec<FakeSpan> {
        let id = self.exemplar(metric, bucket).trace_id.clone();
        self.traces.get_mut(&id).expect("the world has the traces of its exemplars")
    }
}

/// Serves `router` on a free port until the runtime ends.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

type Parameters = Query<BTreeMap<String, String>>;

pub(super) fn prometheus(world: &Arc<World>) -> Router {
    Router::new()
        .route("/api/v1/label/__name__/values", get(names))
        .route("/api/v1/series", get(series))
        .route("/api/v1/query_exemplars", get(exemplars))
        .with_state(Arc::clone(world))
}

fn success(data: Value) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

async fn names(State(world): State<Arc<World>>, Query(query): Parameters) -> Json<Value> {
    if !query["match[]"].contains(SELECTOR) {
        return success(json!([]));
    }
    success(world.metrics.iter().map(|metric| json!(format!("{}_bucket", metric.name))).collect())
}

fn asked<'a>(world: &'a World, query: &str) -> Option<&'a FakeMetric> {
    world.metrics.iter().find(|metric| query == format!("{{__name__=\"{}_bucket\",{SELECTOR}}}", metric.name))
}

fn labels(metric: &FakeMetric, le: f64) -> Value {
    let le = if le.is_infinite() { "+Inf".to_owned() } else { format!("{le:?}") };
    json!({"__name__": format!("{}_bucket", metric.name), "job": "phaselab", "le": le})
}

async fn series(State(world): State<Arc<World>>, Query(query): Parameters) -> Json<Value> {
    let Some(metric) = asked(&world, &query["match[]"]) else { return success(json!([])) };
    success(BOUNDS.iter().map(|le| labels(metric, *le)).collect())
}

async fn exemplars(State(world): State<Arc<World>>, Query(query): Parameters) -> Json<Value> {
    let Some(metric) = asked(&world, &query["query"]) else { return success(json!([])) };
    let (start, end): (f64, f64) = (query["start"].parse().unwrap(), query["end"].parse().unwrap());
    let within = metric.exemplars.iter().filter(|exemplar| (start..=end).contains(&exemplar.timestamp));
    let found = within.map(|exemplar| {
        json!({
            "seriesLabels": labels(metric, exemplar.le),
            "exemplars": [{
                "labels": {"trace_id": exemplar.trace_id, "span_id": exemplar.span_id},
                "value": exemplar.value.to_string(),
                "timestamp": exemplar.timestamp,
            }],
        })
    });
    success(found.collect())
}

pub(super) fn tempo(world: &Arc<World>) -> Router {
    async fn trace(State(world): State<Arc<World>>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
        let base64 = |id: &str| STANDARD.encode(hex::<8>(id).unwrap());
        let found = world.traces.get(&id);
        // The real one says 200 to an id it has never seen.
        let trace = found.map_or(json!({}), |spans| resource_spans(spans, base64));
        (world.store_fails.unwrap_or(StatusCode::OK), Json(json!({"trace": trace, "metrics": {}})))
    }
    Router::new()
        .route("/api/echo", get(|| async { "echo" }))
        .route("/api/v2/traces/{id}", get(trace))
        .with_state(Arc::clone(world))
}

pub(super) fn jaeger(world: &Arc<World>) -> Router {
    async fn trace(State(world): State<Arc<World>>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
        match world.traces.get(&id) {
            Some(spans) => {
                let result = resource_spans(spans, str::to_owned);
                (world.store_fails.unwrap_or(StatusCode::OK), Json(json!({"result": result})))
            }
            None => {
                let error = json!({"error": {"httpCode": 404, "message": "trace not found"}});
                (world.store_fails.unwrap_or(StatusCode::NOT_FOUND), Json(error))
            }
        }
    }
    Router::new()
        .route("/api/v3/services", get(|| async { Json(json!({"services": ["phaselab"]})) }))
        .route("/api/v3/traces/{id}", get(trace))
        .with_state(Arc::clone(world))
}

fn resource_spans(spans: &[FakeSpan], id: impl Fn(&str) -> String) -> Value {
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let start = 1_700_000_000_000_000_000_u64;
            let mark = json!([{"key": "exemplar", "value": {"boolValue": true}}]);
            json!({
                "spanId": id(&span.id), "name": "one",
                "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + span.millis * 1_000_000).to_string(),
                "attributes": if span.marked { mark } else { json!([]) },
            })
        })
        .collect();
    json!({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "a"}, "spans": spans}]}]})
}
