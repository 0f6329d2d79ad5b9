use tracing::{Dispatch, Span, dispatcher, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::*;

fn names_only() -> Dispatch {
    Dispatch::new(registry().with(SpanLabels::new()))
}

fn here() -> (String, String) {
    let label = current().unwrap_or_default();
    (names::text(label.name).to_string(), names::text(label.root_name).to_string())
}

fn pair(name: &str, root: &str) -> (String, String) {
    (name.to_owned(), root.to_owned())
}

#[test]
fn the_innermost_span_labels_and_knows_its_root() {
    dispatcher::with_default(&names_only(), || {
        assert_eq!(here(), pair("", ""));
        let outer = info_span!("outer");
        outer.in_scope(|| {
            assert_eq!(here(), pair("outer", "outer"));
            info_span!("inner").in_scope(|| assert_eq!(here(), pair("inner", "outer")));
            info_span!(parent: None, "alone").in_scope(|| assert_eq!(here(), pair("alone", "alone")));
            assert_eq!(here(), pair("outer", "outer"));
        });
        assert_eq!(here(), pair("", ""));
        let child = info_span!(parent: &outer, "child");
        child.in_scope(|| assert_eq!(here(), pair("child", "outer")));
    });
}

#[test]
fn a_span_goes_with_its_future_to_another_thread() {
    let dispatch = names_only();
    let span = dispatcher::with_default(&dispatch, || info_span!("moving"));
    let entered = span.clone().entered();
    let other = std::thread::spawn(move || {
        assert_eq!(here(), pair("", ""));
        span.in_scope(here)
    });
    assert_eq!(other.join().unwrap(), pair("moving", "moving"));
    assert_eq!(here(), pair("moving", "moving"));
    drop(entered);
    assert_eq!(here(), pair("", ""));
}

#[test]
fn otel_name_is_the_name_and_may_change() {
    dispatcher::with_default(&names_only(), || {
        let span = info_span!("request", otel.name = "GET /api/work");
        span.in_scope(|| {
            assert_eq!(here(), pair("GET /api/work", "GET /api/work"));
            span.record("otel.name", "GET /api/null");
            assert_eq!(here(), pair("GET /api/null", "GET /api/null"));
            let child = info_span!("child", otel.name = tracing::field::Empty);
            child.in_scope(|| {
                child.record("otel.name", "renamed");
                assert_eq!(here(), pair("renamed", "GET /api/null"));
            });
        });
    });
}

#[test]
fn spans_of_two_subscribers_do_not_mix() {
    let (one, two) = (names_only(), names_only());
    let first = dispatcher::with_default(&one, || info_span!("first"));
    let second = dispatcher::with_default(&two, || info_span!("second"));
    assert_eq!(first.id().map(|id| id.into_u64()), second.id().map(|id| id.into_u64()));
    first.in_scope(|| {
        assert_eq!(here().0, "first");
        second.in_scope(|| assert_eq!(here().0, "second"));
        assert_eq!(here().0, "first");
    });
}

#[cfg(feature = "opentelemetry")]
mod opentelemetry {
    use ::opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::filter::filter_fn;

    use super::*;

    fn exported() -> Dispatch {
        let bridge = tracing_opentelemetry::layer().with_tracer(SdkTracerProvider::default().tracer("test"));
        let bridge = bridge.with_filter(filter_fn(|metadata| !metadata.name().starts_with("hidden")));
        Dispatch::new(registry().with(bridge).with(SpanLabels::new()))
    }

    /// Trace and span of the context that OpenTelemetry has.
    fn truth() -> (u128, u64) {
        ::opentelemetry::Context::map_current(|context| {
            let span = context.span();
            let context = span.span_context();
            (u128::from_be_bytes(context.trace_id().to_bytes()), u64::from_be_bytes(context.span_id().to_bytes()))
        })
    }

    #[test]
    fn labels_carry_the_ids_of_the_span_and_of_its_root() {
        dispatcher::with_default(&exported(), || {
            info_span!("root").in_scope(|| {
                let (trace, root) = truth();
                let label = current().unwrap();
                assert_ne!(trace, 0);
                assert_eq!((label.trace_id, label.span_id, label.root_span_id), (trace, root, root));
                info_span!("child").in_scope(|| {
                    let (trace, child) = truth();
                    let label = current().unwrap();
                    assert_ne!(child, root);
                    assert_eq!((label.trace_id, label.span_id, label.root_span_id), (trace, child, root));
                });
                info_span!(parent: None, "other").in_scope(|| {
                    let (other, span) = truth();
                    let label = current().unwrap();
                    assert_ne!(other, trace);
                    assert_eq!((label.trace_id, label.span_id, label.root_span_id), (other, span, span));
                });
            });
        });
    }

    #[test]
    fn a_hidden_span_labels_with_the_ids_of_the_span_around_it() {
        dispatcher::with_default(&exported(), || {
            let root = info_span!("root");
            let (trace, span) = root.in_scope(truth);
            let expect = |name: &str| {
                let label = current().unwrap();
                assert_eq!(&*names::text(label.name), name);
                assert_eq!((label.trace_id, label.span_id, label.root_span_id), (trace, span, span));
            };
            let hidden = root.in_scope(|| info_span!("hidden"));
            root.in_scope(|| hidden.in_scope(|| expect("hidden")));
            // Neither alone nor inside of another trace does it take what is around.
            let alone = info_span!(parent: &hidden, "hidden too");
            alone.in_scope(|| expect("hidden too"));
            let third = info_span!(parent: &root, "hidden as well");
            info_span!(parent: None, "stranger").in_scope(|| third.in_scope(|| expect("hidden as well")));
        });
    }

    #[test]
    fn a_trace_of_another_process_is_known_and_its_first_span_here_is_the_root() {
        dispatcher::with_default(&exported(), || {
            let remote = ::opentelemetry::trace::SpanContext::new(
                7.into(),
                9.into(),
                ::opentelemetry::TraceFlags::SAMPLED,
                true,
                Default::default(),
            );
            let _remote = ::opentelemetry::Context::new().with_remote_span_context(remote).attach();
            info_span!("hidden outside").in_scope(|| assert_eq!(current().unwrap().trace_id, 0));
            let span: Span = info_span!("here");
            span.in_scope(|| {
                let label = current().unwrap();
                assert_eq!(label.trace_id, 7);
                assert_ne!(label.span_id, 9);
                assert_eq!(label.span_id, label.root_span_id);
            });
        });
    }
}
