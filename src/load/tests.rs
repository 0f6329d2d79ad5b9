//! Against a real server on loopback: latency from the intended start, nothing lost silently, nothing sent elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::Plan;
use super::mix::{Mix, Template};
use super::profile::Profile;
use super::run::Run;
use super::summary::Summary;
use super::target::Target;

/// Serves `router`; counts connections.
async fn serve(router: Router) -> (Target, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap()), false).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let listener = listener.tap_io(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (target, connections)
}

fn plan(target: Target, profile: &str) -> Plan {
    let templates = ["fast=/fast?a=b", "slow=/slow", "error=/error"].map(|text| Template::parse(text).unwrap());
    let mix = Mix::parse("fast=1", &templates).unwrap();
    let timeout = Duration::from_secs(20);
    Plan { target, profile: Profile::parse(profile).unwrap(), mix, max_in_flight: 64, timeout }
}

async fn send(plan: Plan) -> Summary {
    let run = Arc::new(Run::new(plan).unwrap());
    let elapsed = run.send(std::future::pending()).await.unwrap();
    assert_eq!(run.unanswered(), 0);
    Summary::new(&run, elapsed)
}

/// The bug this catches is coordinated omission: one request stalls for 400 ms and all the others are quick once they
/// are sent, so a tool that counts from the sending sees a median of a millisecond.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_the_requests_it_delays() {
    let stalled = Arc::new(AtomicUsize::new(0));
    let router = Router::new().fallback(move || {
        let first = stalled.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        }
    });
    let (target, _) = serve(router).await;
    let summary = send(Plan { max_in_flight: 1, ..plan(target, "100x400ms") }).await;
    let latency = summary.all.latency_ms.unwrap();
    assert_eq!((summary.all.requests, summary.all.failed), (40, 0));
    // Intended at 0, 10, 20, ... and none answered before 400: the median request waited for about 200 ms.
    assert!(latency.p50 >= 150.0, "{latency:?}");
    assert!(latency.max >= 390.0, "{latency:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_follow_the_mix_and_name_no_parent_span() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: Request| {
        log.lock().unwrap().push((request.uri().to_string(), request.headers().contains_key("traceparent")));
        async move {
            let failing = request.uri().path() == "/error";
            if failing { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }.into_response()
        }
    });
    let (target, _) = serve(router).await;
    let templates = ["fast=/fast?a=b", "slow=/slow", "error=/error"].map(|text| Template::parse(text).unwrap());
    let mix = Mix::parse("fast=8,slow=1,error=1", &templates).unwrap();
    let summary = send(Plan { mix, ..plan(target, "500x100ms,250x200ms") }).await;

    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(_, traceparent)| !traceparent));
    let count = |path: &str| seen.iter().filter(|(uri, _)| uri == path).count();
    assert_eq!((count("/fast?a=b"), count("/slow"), count("/error")), (80, 10, 10));
    assert_eq!((summary.all.requests, summary.all.failed), (100, 10));
    assert_eq!(
        summary.all.errors.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>(),
        [("http_500", 10)]
    );
    let per_template: Vec<_> = summary.templates.iter().map(|one| (one.name.as_str(), one.part.requests)).collect();
    assert_eq!(per_template, [("fast", 80), ("slow", 10), ("error", 10)]);
    assert!(summary.seconds >= 0.29, "the profile takes 300 ms: {summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_sent_in_time_is_counted() {
    let router = Router::new().fallback(std::future::pending::<()>);
    let (target, _) = serve(router).await;
    let timeout = Duration::from_secs(2);
    let summary = send(Plan { max_in_flight: 2, timeout, ..plan(target, "100x200ms") }).await;
    assert_eq!((summary.all.requests, summary.all.failed), (20, 20));
    // The first two hold the slots for 2 s, the next two get them just in time, and for the others it is too late.
    let count = |name: &str| summary.all.errors.get(name).copied().unwrap_or(0);
    assert_eq!(count("timeout") + count("client_overload"), 20, "{summary:?}");
    assert!(count("timeout") >= 2 && count("client_overload") >= 10, "{summary:?}");
    assert!(summary.all.latency_ms.unwrap().p50 >= 1_995.0, "{summary:?}");
    assert!(summary.all_failed());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept() {
    let (target, connections) = serve(Router::new().fallback(|| async { "an answer" })).await;
    let summary = send(Plan { max_in_flight: 1, ..plan(target, "200x100ms") }).await;
    assert_eq!((summary.all.requests, summary.all.failed), (20, 0));
    // One that is not back in the pool when the next request is due is not waited for, which is rare.
    assert!((1..10).contains(&connections.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_an_error_of_its_own() {
    let target = Target::parse("http://127.0.0.1:1", false).unwrap();
    let summary = send(plan(target, "100x50ms")).await;
    assert_eq!(summary.all.errors.into_iter().collect::<Vec<_>>(), [("connect".to_owned(), 5)]);
    assert!(summary.all.latency_ms.is_none(), "a refused connection is no quick answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_an_error_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap()), false).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        }
    });
    let summary = send(plan(target, "100x30ms")).await;
    assert_eq!(summary.all.errors.into_iter().collect::<Vec<_>>(), [("broken".to_owned(), 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&followed);
    let router = Router::new()
        .route("/fast", axum::routing::get(|| async { (StatusCode::FOUND, [("location", "/elsewhere")]) }))
        .fallback(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            async {}
        });
    let (target, _) = serve(router).await;
    let summary = send(plan(target, "100x50ms")).await;
    assert_eq!((summary.all.requests, followed.load(Ordering::SeqCst)), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_stopped_and_waits_for_what_is_under_way() {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stop = Arc::new(Mutex::new(Some(stop)));
    let router = Router::new().fallback(move || {
        if let Some(stop) = stop.lock().unwrap().take() {
            stop.send(()).unwrap();
        }
        async {}
    });
    let (target, _) = serve(router).await;
    let run = Arc::new(Run::new(plan(target, "1x1h")).unwrap());
    let stopped = async { stopped.await.unwrap() };
    let elapsed = run.send(stopped).await.unwrap();
    let summary = Summary::new(&run, elapsed);
    assert!(summary.interrupted && elapsed < Duration::from_secs(20));
    assert_eq!((summary.all.requests, summary.all.failed, run.unanswered()), (1, 0, 0));
    assert!(summary.table().contains("interrupted"));
}
