//! Against backends that answer in the forms of the real ones: what resolves, what does not and why, and what cannot be
//! asked. Each fault is put into a world in which all else resolves, so a check that is left out lets a test fail.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;

use super::ask::{AskError, Client};
use super::fake::{self, FakeSpan, SELECTOR, World};
use super::report::Report;
use super::resolve::Patience;
use super::store::{self, Choice, Kind, TraceStore};
use super::{Range, Settings, round};

mod patience;

/// Old exemplars are judged at once; the margin only shows that it is not waited for.
const PATIENCE: Patience = Patience { decision_wait: Duration::from_secs(30), margin: Duration::from_secs(10) };

/// An address that nothing listens on.
const NOBODY: &str = "http://127.0.0.1:1";

async fn settings(world: World, kind: Kind) -> Settings {
    let world = Arc::new(world);
    let prometheus_url = fake::serve(fake::prometheus(&world)).await;
    let (tempo_url, jaeger_url) = match kind {
        Kind::Tempo => (fake::serve(fake::tempo(&world)).await, NOBODY.to_owned()),
        Kind::Jaeger => (NOBODY.to_owned(), fake::serve(fake::jaeger(&world)).await),
    };
    Settings {
        prometheus_url,
        store: Choice { kind: None, tempo_url, jaeger_url },
        selector: SELECTOR.to_owned(),
        range: Range::Last(Duration::from_secs(900)),
        patience: PATIENCE,
        timeout: Duration::from_secs(10),
    }
}

/// The report of a world with Tempo, and that of the same world with Jaeger.
async fn reports(world: &World) -> [Report; 2] {
    let ask = async |kind| round(&settings(world.clone(), kind).await).await.unwrap();
    [ask(Kind::Tempo).await, ask(Kind::Jaeger).await]
}

/// Asserts that `world` is sound but for `count` exemplars, with `reason`, with both stores.
async fn assert_reason(world: &World, reason: &str, count: usize, exit_code: u8) {
    for report in reports(world).await {
        let reasons: Vec<_> = report.unresolved.iter().map(|one| one.reason).collect();
        assert_eq!(reasons, vec![reason; count], "{}", report.table());
        assert_eq!((report.exemplars, report.resolved), (12, 12 - count));
        assert_eq!(report.exit_code(), exit_code);
    }
}

#[tokio::test]
async fn a_sound_world_resolves_with_either_store() {
    let [tempo, jaeger] = reports(&World::sound()).await;
    assert!(tempo.trace_store.starts_with("tempo at") && jaeger.trace_store.starts_with("jaeger at"));
    for report in [tempo, jaeger] {
        assert_eq!((report.exemplars, report.resolved, report.exit_code()), (12, 12, 0), "{}", report.table());
        let per_metric: Vec<_> = report.metrics.iter().map(|one| (one.metric.as_str(), one.resolved)).collect();
        let expected =
            [("http_server_request_duration_seconds", 4), ("queue_length", 4), ("section_duration_seconds", 4)];
        assert_eq!(per_metric, expected);
    }
}

#[tokio::test]
async fn a_trace_that_the_store_does_not_hold_is_not_found() {
    // Tempo answers 200 to this id, with a trace without spans; Jaeger answers 404.
    let mut world = World::sound();
    world.exemplar(0, 1).trace_id = format!("{:032x}", 77);
    assert_reason(&world, "not_found", 1, 1).await;
}

#[tokio::test]
async fn a_trace_without_the_span_is_not_enough() {
    let mut world = World::sound();
    world.trace_of(1, 2).pop();
    assert_reason(&world, "span_missing", 1, 1).await;
}

#[tokio::test]
async fn a_span_without_the_mark_is_not_enough() {
    let mut world = World::sound();
    world.trace_of(1, 2)[1].marked = false;
    assert_reason(&world, "unmarked", 1, 1).await;
    // A mark on another span of the trace keeps the trace, but it is not this span that was meant.
    world.trace_of(1, 2)[0].marked = true;
    assert_reason(&world, "unmarked", 1, 1).await;
}

#[tokio::test]
async fn a_value_must_fit_the_span() {
    let mut world = World::sound();
    world.trace_of(0, 3)[1].millis = 1_900;
    assert_reason(&world, "duration_mismatch", 1, 1).await;
}

#[tokio::test]
async fn only_seconds_are_compared_with_the_span() {
    let mut world = World::sound();
    world.trace_of(2, 3)[1] = FakeSpan { millis: 1, ..world.trace_of(2, 3)[1].clone() };
    assert_reason(&world, "", 0, 0).await;
}

#[tokio::test]
async fn a_value_must_be_above_the_next_lower_boundary() {
    // The next lower bucket has no exemplar of its own, so only the list of all series tells its boundary.
    let mut world = World::sound();
    world.metrics[1].exemplars.remove(1);
    world.exemplar(1, 1).value = 0.2;
    for report in reports(&world).await {
        assert_eq!(report.unresolved.len(), 1, "{}", report.table());
        assert_eq!((report.unresolved[0].reason, report.unresolved[0].le.as_deref()), ("bucket_mismatch", Some("1")));
    }
}

#[tokio::test]
async fn a_value_must_not_be_above_its_boundary() {
    let mut world = World::sound();
    world.exemplar(0, 0).value = 0.11;
    assert_reason(&world, "bucket_mismatch", 1, 1).await;
}

#[tokio::test]
async fn an_exemplar_without_ids_is_malformed() {
    let mut world = World::sound();
    world.exemplar(0, 0).span_id = String::new();
    world.exemplar(2, 0).trace_id = "0".to_owned();
    assert_reason(&world, "malformed", 2, 1).await;
}

#[tokio::test]
async fn no_exemplar_is_no_success() {
    let mut world = World::sound();
    world.metrics.iter_mut().for_each(|metric| metric.exemplars.clear());
    for report in reports(&world).await {
        assert_eq!((report.exemplars, report.metrics.len(), report.exit_code()), (0, 3, 2));
        assert!(report.verdict().starts_with("found no exemplars"));
    }
}

#[tokio::test]
async fn only_the_time_range_and_the_service_count() {
    let mut world = World::sound();
    world.exemplar(0, 0).timestamp -= 3_600.0;
    let mut settings = settings(world, Kind::Jaeger).await;
    assert_eq!(round(&settings).await.unwrap().exemplars, 11);
    let now = SystemTime::now();
    settings.range = Range::Between(now - Duration::from_secs(7_200), now - Duration::from_secs(1_800));
    assert_eq!(round(&settings).await.unwrap().exemplars, 1);
    settings.selector = "job=\"other\"".to_owned();
    assert_eq!(round(&settings).await.unwrap().exemplars, 0);
}

#[tokio::test]
async fn a_store_that_fails_does_not_say_that_a_trace_is_missing() {
    for kind in [Kind::Tempo, Kind::Jaeger] {
        let mut world = World::sound();
        world.store_fails = Some(StatusCode::SERVICE_UNAVAILABLE);
        let settings = settings(world, kind).await;
        let store = store::find(&Client::new(settings.timeout).unwrap(), &settings.store).await.unwrap();
        let error = store.trace(&format!("{:032x}", 1)).await.unwrap_err();
        assert!(matches!(error, AskError::Status { status: StatusCode::SERVICE_UNAVAILABLE, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_prometheus_that_is_down_cannot_be_asked() {
    let mut settings = settings(World::sound(), Kind::Tempo).await;
    settings.prometheus_url = NOBODY.to_owned();
    assert!(matches!(round(&settings).await.unwrap_err(), AskError::Unreachable { .. }));
}

#[tokio::test]
async fn a_store_is_recognised_by_what_it_says() {
    let mut settings = settings(World::sound(), Kind::Tempo).await;
    // A server that answers 200 to everything is no trace store.
    let anything = fake::serve(Router::new().fallback(|| async { "{\"a\":1}" })).await;
    settings.store.tempo_url = anything.clone();
    settings.store.jaeger_url = anything;
    let error = round(&settings).await.unwrap_err();
    assert!(matches!(&error, AskError::NoStore(why) if why.contains("echo") && why.contains("services")), "{error}");
}

#[tokio::test]
async fn an_empty_jaeger_is_recognised_and_its_empty_answer_is_no_trace() {
    // The first answer is that of a Jaeger that has seen no service; to a trace it is none.
    let mut settings = settings(World::sound(), Kind::Tempo).await;
    settings.store.tempo_url = NOBODY.to_owned();
    settings.store.jaeger_url = fake::serve(Router::new().fallback(|| async { "{}" })).await;
    let store = store::find(&Client::new(settings.timeout).unwrap(), &settings.store).await.unwrap();
    assert!(matches!(store.trace(&format!("{:032x}", 1)).await, Err(AskError::Unexpected { .. })));
}
