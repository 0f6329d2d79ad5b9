use std::collections::HashMap;

use super::*;

/// Reads a configuration in which only these variables are set (and a home directory).
fn read(variables: &[(&'static str, &'static str)]) -> Result<(Config, Faults), Faults> {
    let mut env: HashMap<&str, &str> = HashMap::from([("HOME", "/home/lab")]);
    env.extend(variables.iter().copied());
    Config::read(&env, &[])
}

fn good(variables: &[(&'static str, &'static str)]) -> Config {
    let (config, faults) = read(variables).unwrap();
    assert_eq!(faults.0, []);
    config
}

/// The sources of the faults, those that are only ignored marked with a question mark.
fn faulty(variables: &[(&'static str, &'static str)]) -> Vec<String> {
    let faults = match read(variables) {
        Ok((_, faults)) | Err(faults) => faults,
    };
    let mark = |fault: &Fault| if fault.severity == Severity::Ignored { "?" } else { "" };
    faults.0.iter().map(|fault| format!("{}{}", fault.source, mark(fault))).collect()
}

#[test]
fn nothing_set_gives_working_defaults() {
    let config = good(&[]);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database, Database::File("/home/lab/.local/share/phaselab/phaselab.db".into()));
    assert!(config.exemplars);
    let traces = config.otel.traces.as_ref().unwrap();
    assert_eq!(traces.endpoint, "http://localhost:4318/v1/traces");
    assert_eq!(traces.protocol, Protocol::HttpProtobuf);
    assert!(rules(&config).iter().all(|rule| rule.holds), "{:#?}", rules(&config));
}

#[test]
fn all_faults_are_reported_at_once() {
    let found = faulty(&[
        ("PHASELAB_LISTEN", "localhost"),
        ("PHASELAB_REQUEST_TIMEOUT", "20"),
        ("PHASELAB_MAX_CONCURRENT_REQUESTS", "0"),
        ("PHASELAB_MAX_WEBSOCKETS", "0"),
        ("PHASELAB_MAX_BODY_BYTES", "-1"),
        ("PHASELAB_LOG", "phaselab=loud"),
        ("PHASELAB_EXEMPLARS", "unmarked"),
        ("PHASELAB_NUM_TRACES", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
    ]);
    assert_eq!(
        found,
        [
            "PHASELAB_LISTEN",
            "PHASELAB_REQUEST_TIMEOUT",
            "PHASELAB_MAX_CONCURRENT_REQUESTS",
            "PHASELAB_MAX_WEBSOCKETS",
            "PHASELAB_MAX_BODY_BYTES",
            "PHASELAB_LOG",
            "PHASELAB_NUM_TRACES",
            "OTEL_BSP_SCHEDULE_DELAY?",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "PHASELAB_EXEMPLARS",
        ]
    );
}

#[test]
fn a_fault_names_value_rule_and_fix() {
    let faults = read(&[("PHASELAB_REQUEST_TIMEOUT", "20")]).unwrap_err();
    let text = faults.to_string();
    for part in ["PHASELAB_REQUEST_TIMEOUT", "\"20\"", "duration with a unit", "30s or 250ms"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn flags_win_and_are_named_in_faults() {
    let env = HashMap::from([("HOME", "/"), ("PHASELAB_LISTEN", "127.0.0.1:1"), ("PHASELAB_LOG", "!")]);
    let flag = |variable, flag, value: &str| Flag { variable, flag, value: value.to_owned() };
    let flags = [flag("PHASELAB_LISTEN", "--listen", "127.0.0.1:2"), flag("PHASELAB_LOG", "--log", "warn")];
    let (config, _) = Config::read(&env, &flags).unwrap();
    assert_eq!((config.listen.port(), config.log.as_str()), (2, "warn"));
    let faults = Config::read(&env, &[flag("PHASELAB_LISTEN", "--listen", "x")]).unwrap_err();
    assert!(faults.to_string().starts_with("--listen=\"x\""), "{faults}");
}

#[test]
fn an_empty_variable_is_unset_and_what_nobody_knows_is_ignored() {
    let config = good(&[("OTEL_SERVICE_NAME", ""), ("OTEL_TRACES_SAMPLER", ""), ("PHASELAB_LISTEN", " ")]);
    assert_eq!(config.otel.service_name, "phaselab");
    assert_eq!(
        faulty(&[
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_SDK_DISABLED", "1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ]),
        ["OTEL_SDK_DISABLED?", "OTEL_RESOURCE_ATTRIBUTES?", "OTEL_TRACES_SAMPLER?", "OTEL_EXPORTER_OTLP_COMPRESSION?",]
    );
}

#[test]
fn what_the_specification_knows_and_we_cannot_do_is_refused() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
    ] {
        let found = faulty(&[(name, value)]);
        assert!(found.iter().any(|fault| fault == name), "{name}={value}: {found:?}");
    }
}

#[test]
fn samplers_are_case_insensitive_and_take_their_share() {
    let sampler = |name, share| good(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", share)]).otel.sampler;
    assert_eq!(sampler("ALWAYS_OFF", "ignored here"), Sampler::AlwaysOff);
    assert_eq!(sampler("traceidratio", "0.25"), Sampler::TraceIdRatio(0.25));
    assert_eq!(sampler("ParentBased_TraceIdRatio", "1"), Sampler::ParentBasedTraceIdRatio(1.0));
    assert_eq!(sampler("parentbased_always_off", ""), Sampler::ParentBasedAlwaysOff);
    for bad in ["NaN", "1.1", "-0.1", "half"] {
        let found = faulty(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", bad)]);
        assert_eq!(found, ["OTEL_TRACES_SAMPLER_ARG?"], "{bad}");
    }
}

#[test]
fn endpoints_follow_the_specification() {
    let endpoints = |variables: &[(&'static str, &'static str)]| {
        let otel = good(variables).otel;
        (otel.traces.unwrap().endpoint, otel.metrics.unwrap().endpoint)
    };
    let both = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // The common endpoint gets the signal's path, the signal's own is used as it is.
    assert_eq!(
        endpoints(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1/base/")]),
        both("http://c:1/base/v1/traces", "http://c:1/base/v1/metrics")
    );
    assert_eq!(
        endpoints(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:2/here"),
        ]),
        both("http://t:2/here", "http://c:1/v1/metrics")
    );
    assert_eq!(
        endpoints(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")]),
        both("http://localhost:4317", "http://localhost:4317")
    );
    // Without a scheme gRPC means TLS unless it is called insecure.
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:1")];
    assert_eq!(faulty(&grpc), ["OTEL_EXPORTER_OTLP_ENDPOINT"]);
    let insecure = [grpc[0], grpc[1], ("OTEL_EXPORTER_OTLP_INSECURE", "True")];
    assert_eq!(endpoints(&insecure), both("http://c:1", "http://c:1"));
    for bad in ["collector:4318", "ftp://c", "http://", "http://c:99999"] {
        assert!(!faulty(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", bad)]).is_empty(), "{bad}");
    }
}

#[test]
fn headers_are_decoded_replaced_by_the_signals_own_and_never_shown() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%2Cecret, Tenant = a"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "b=2"),
    ];
    let config = good(&variables);
    let headers = |export: &Option<Export>| -> Vec<(String, String)> {
        let pair = |(name, value): &(axum::http::HeaderName, axum::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        export.as_ref().unwrap().headers.iter().map(pair).collect()
    };
    let owned = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(headers(&config.otel.traces), [owned("api-key", "s,ecret"), owned("tenant", "a")]);
    assert_eq!(headers(&config.otel.metrics), [owned("b", "2")]);
    assert!(!print(&config).contains("s,ecret") && !format!("{config:?}").contains("s,ecret"));
    let faults = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "secret value")]).unwrap_err();
    assert!(!faults.to_string().contains("secret value"), "{faults}");
}

#[test]
fn the_service_name_comes_from_its_variable_then_from_the_attributes() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=b%3Dc");
    let otel = good(&[attributes]).otel;
    assert_eq!(otel.service_name, "a");
    assert_eq!(otel.resource_attributes, [("team".to_owned(), "b=c".to_owned())]);
    assert_eq!(good(&[attributes, ("OTEL_SERVICE_NAME", "x")]).otel.service_name, "x");
}

#[test]
fn exporters_can_be_switched_off() {
    let config = good(&[("OTEL_TRACES_EXPORTER", "None"), ("OTEL_METRICS_EXPORTER", "none")]);
    assert!(config.otel.traces.is_none() && config.otel.metrics.is_none());
    assert!(!good(&[("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")]).exemplars);
    assert!(good(&[("OTEL_SDK_DISABLED", "TRUE")]).otel.disabled);
}

#[test]
fn each_timing_rule_can_be_broken() {
    for (variable, value, broken) in [
        ("PHASELAB_REQUEST_TIMEOUT", "29s", "request timeout + 1s"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5000", "request timeout + span batch delay"),
        ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "31s", "decision wait after the root <="),
        ("PHASELAB_DECISION_WAIT_AFTER_ROOT", "1s", "span batch delay + 1s"),
        ("PHASELAB_NUM_TRACES", "59999", "num traces"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "4000", "metric export timeout"),
    ] {
        let rules = rules(&good(&[(variable, value)]));
        let rule = rules.iter().find(|rule| rule.text.starts_with(broken)).unwrap();
        assert!(!rule.holds, "{variable}={value}: {rule:?}");
    }
}

#[test]
fn without_a_home_the_database_must_be_named() {
    let read = |env: &[(&'static str, &'static str)]| {
        Config::read(&env.iter().copied().collect::<HashMap<_, _>>(), &[]).map(|(config, _)| config.database)
    };
    assert!(read(&[]).is_err());
    assert_eq!(read(&[("PHASELAB_DATABASE", ":memory:")]), Ok(Database::Memory));
    assert_eq!(
        read(&[("XDG_DATA_HOME", "/data"), ("HOME", "/h")]),
        Ok(Database::File("/data/phaselab/phaselab.db".into()))
    );
    assert_eq!(
        read(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
        Ok(Database::File("/h/.local/share/phaselab/phaselab.db".into()))
    );
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let config = good(&[("PHASELAB_LISTEN", "127.0.0.1:9"), ("OTEL_TRACES_SAMPLER", "traceidratio")]);
    let printed = print(&config);
    let env: HashMap<&str, &str> = printed.lines().filter_map(|line| line.split_once('=')).collect();
    let (again, faults) = Config::read(&env, &[]).unwrap();
    assert_eq!(faults.0, []);
    assert_eq!(print(&again), printed);
}

#[test]
fn diagnostics_are_private_by_default() {
    let config = good(&[]);
    let diagnostics = config.diagnostics.unwrap();
    assert_eq!(diagnostics.listen.to_string(), "127.0.0.1:6060");
    assert!(diagnostics.token.is_none() && !diagnostics.open && diagnostics.hosts.is_empty());
    assert_eq!(diagnostics.peers, ["http://127.0.0.1:6061", "http://127.0.0.1:6062"]);
    let expected = ProfilerSettings { hz: 99, window: Duration::from_secs(600), bytes: 16_777_216 };
    assert_eq!(config.profiler, expected);
    assert!(good(&[("PHASELAB_DIAGNOSTICS_LISTEN", "off")]).diagnostics.is_none());
    assert!(good(&[("PHASELAB_DIAGNOSTICS_PEERS", "none")]).diagnostics.unwrap().peers.is_empty());
    assert!(!good(&[]).diagnostics.unwrap().peers_named);
    assert!(good(&[("PHASELAB_DIAGNOSTICS_PEERS", "http://127.0.0.1:6061")]).diagnostics.unwrap().peers_named);
}

#[test]
fn diagnostics_that_others_can_reach_need_a_token_or_the_opt_out() {
    const TOKEN: (&str, &str) = ("PHASELAB_DIAGNOSTICS_TOKEN", "0123456789abcdef");
    const OPEN: (&str, &str) = ("PHASELAB_DIAGNOSTICS_OPEN", "loopback-published");
    for address in ["0.0.0.0:6060", "192.0.2.2:6060", "[::]:6060", "[::ffff:10.0.0.1]:6060"] {
        let listen = ("PHASELAB_DIAGNOSTICS_LISTEN", address);
        let text = read(&[listen]).unwrap_err().to_string();
        for part in [address, "other machines", "127.0.0.1", "PHASELAB_DIAGNOSTICS_TOKEN_FILE", "loopback-published"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(good(&[listen, TOKEN]).diagnostics.unwrap().token.is_some());
        assert!(good(&[listen, OPEN]).diagnostics.unwrap().open);
    }
    for address in ["127.0.0.2:6060", "[::1]:6060", "[::ffff:127.0.0.1]:6060"] {
        good(&[("PHASELAB_DIAGNOSTICS_LISTEN", address)]);
    }
}

#[test]
fn all_faults_of_diagnostics_are_reported_at_once_and_tokens_are_not_shown() {
    let variables = [
        ("PHASELAB_DIAGNOSTICS_LISTEN", "0.0.0.0"),
        ("PHASELAB_DIAGNOSTICS_TOKEN", "hush"),
        ("PHASELAB_DIAGNOSTICS_TOKEN_FILE", "/nowhere/token"),
        ("PHASELAB_DIAGNOSTICS_OPEN", "yes"),
        ("PHASELAB_DIAGNOSTICS_HOSTS", "http://lab"),
        ("PHASELAB_DIAGNOSTICS_PEERS", "lab"),
        ("PHASELAB_PROFILER_HZ", "1000"),
        ("PHASELAB_PROFILER_WINDOW", "10"),
        ("PHASELAB_CONSOLE_BYTES", "1000"),
        ("PHASELAB_PROFILER_BYTES", "1000"),
    ];
    let text = read(&variables).unwrap_err().to_string();
    assert!(text.contains("(withheld)") && !text.contains("hush"), "{text}");
    let mut found = faulty(&variables);
    found.sort();
    let mut expected: Vec<_> = variables.iter().map(|(name, _)| (*name).to_owned()).collect();
    // Given together, and unreadable: two faults of one variable.
    expected.push("PHASELAB_DIAGNOSTICS_TOKEN_FILE".to_owned());
    expected.sort();
    assert_eq!(found, expected);
    // A token that is wrong is not also missing.
    let short = [("PHASELAB_DIAGNOSTICS_LISTEN", "0.0.0.0:1"), ("PHASELAB_DIAGNOSTICS_TOKEN", "short")];
    assert_eq!(faulty(&short), ["PHASELAB_DIAGNOSTICS_TOKEN"]);
}

#[test]
fn what_is_printed_names_peers_only_if_somebody_did() {
    for (given, named, peers) in [("", false, 2), ("none", true, 0), ("http://127.0.0.1:6061", true, 1)] {
        let printed = print(&good(&[("PHASELAB_DIAGNOSTICS_PEERS", given)]));
        let env: HashMap<&str, &str> = printed.lines().filter_map(|line| line.split_once('=')).collect();
        let again = Config::read(&env, &[]).unwrap().0.diagnostics.unwrap();
        assert_eq!((again.peers_named, again.peers.len()), (named, peers), "{given:?}");
    }
}

#[test]
fn diagnostics_are_printed_and_the_token_is_withheld() {
    let config = good(&[
        ("PHASELAB_DIAGNOSTICS_LISTEN", "0.0.0.0:7070"),
        ("PHASELAB_DIAGNOSTICS_TOKEN", "0123456789abcdef"),
        ("PHASELAB_DIAGNOSTICS_HOSTS", "lab.example"),
        ("PHASELAB_PROFILER_WINDOW", "90s"),
    ]);
    let text = print(&config);
    for line in [
        "PHASELAB_DIAGNOSTICS_LISTEN=0.0.0.0:7070",
        "PHASELAB_DIAGNOSTICS_TOKEN=(withheld)",
        "PHASELAB_DIAGNOSTICS_HOSTS=lab.example",
        "PHASELAB_DIAGNOSTICS_PEERS=",
        "PHASELAB_PROFILER_HZ=99",
        "PHASELAB_PROFILER_WINDOW=1m30s",
    ] {
        assert!(text.lines().any(|given| given == line), "{line}: {text}");
    }
    assert!(!text.contains("0123456789abcdef"));
}

#[test]
fn a_worker_has_defaults_of_its_own_and_listens_to_the_same_variables() {
    let read = |kind, variables: &[(&'static str, &'static str)]| {
        let env: HashMap<&str, &str> = variables.iter().copied().collect();
        Config::read_as(Role::Worker(kind), &env, &[]).unwrap().0
    };
    for (kind, ports) in [(WorkerKind::Bad, [8081, 6061]), (WorkerKind::Optimized, [8082, 6062])] {
        let config = read(kind, &[]);
        let diagnostics = config.diagnostics.unwrap();
        assert_eq!([config.listen.port(), diagnostics.listen.port()], ports);
        assert!(diagnostics.peers.is_empty(), "it would ask itself: {:?}", diagnostics.peers);
        assert_eq!((config.otel.service_name.as_str(), config.database), ("phaselab-worker", Database::Memory));
        let hours = Duration::from_secs(48 * 3_600);
        assert_eq!(config.worker, WorkerSettings { tasks: 100_000, workers: 50, duration: hours });
    }
    let config = read(
        WorkerKind::Bad,
        &[
            ("PHASELAB_LISTEN", "127.0.0.1:1"),
            ("PHASELAB_DIAGNOSTICS_PEERS", "http://a:1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine"),
            ("PHASELAB_WORKER_WORKERS", "7"),
        ],
    );
    assert_eq!((config.listen.port(), config.worker.workers), (1, 7));
    assert_eq!(config.diagnostics.unwrap().peers, ["http://a:1"]);
    assert_eq!(config.otel.service_name, "mine");
}
