use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_empty_environment_gives_the_documented_defaults() {
    let settings = Settings::from_env(&env(&[("HOME", "/home/u")])).unwrap();
    assert_eq!(settings.way, None);
    assert!(settings.release);
    assert_eq!(settings.protocol, Protocol::Grpc);
    assert_eq!(settings.ports.prometheus, 9090);
    assert_eq!(settings.cache, PathBuf::from("/home/u/.cache/phaselab/stack"));
    assert_eq!((settings.metrics_retention_h, settings.traces_retention_h), (360, 720));
}

#[test]
fn every_fault_is_reported_at_once_with_name_value_and_fix() {
    let faults = Settings::from_env(&env(&[
        ("PHASELAB_UP", "podman"),
        ("PHASELAB_PROMETHEUS_PORT", "0"),
        ("PHASELAB_HTTP_PORT", "http"),
        ("PHASELAB_TRACES_RETENTION", "3d"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ]))
    .unwrap_err();
    assert_eq!(faults.len(), 5, "{faults:?}");
    for expected in [
        "PHASELAB_UP=podman is unknown: use docker or native or single",
        "PHASELAB_PROMETHEUS_PORT=0 is not a port",
        "PHASELAB_HTTP_PORT=http is not a port",
        "PHASELAB_TRACES_RETENTION=3d is not a number of hours: write it like 720h",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/json is unknown: use grpc or http/protobuf",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected} not in {faults:?}");
    }
}

#[test]
fn traces_may_not_expire_before_the_metrics_that_point_at_them() {
    let faults = Settings::from_env(&env(&[("PHASELAB_TRACES_RETENTION", "24h")])).unwrap_err();
    assert!(faults[0].contains("shorter than PHASELAB_METRICS_RETENTION=360h"), "{faults:?}");
}

#[test]
fn the_cache_can_be_moved_and_follows_xdg() {
    let moved = Settings::from_env(&env(&[("PHASELAB_STACK_CACHE", "/c"), ("XDG_CACHE_HOME", "/x")])).unwrap();
    assert_eq!(moved.cache, PathBuf::from("/c"));
    let xdg = Settings::from_env(&env(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")])).unwrap();
    assert_eq!(xdg.cache, PathBuf::from("/x/phaselab/stack"));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let settings = Settings::from_env(&env(&[("PHASELAB_UP", ""), ("PHASELAB_HTTP_PORT", "")])).unwrap();
    assert_eq!((settings.way, settings.ports.http), (None, 8080));
}

#[test]
fn a_cache_of_its_own_for_the_stack_leaves_the_users_cache_where_it_is() {
    let of = |pairs| {
        let settings = Settings::from_env(&env(pairs)).unwrap();
        (settings.cache, settings.user_cache)
    };
    assert_eq!(of(&[("XDG_CACHE_HOME", "/c")]), ("/c/phaselab/stack".into(), "/c/phaselab".into()));
    let both = [("XDG_CACHE_HOME", "/c"), ("PHASELAB_STACK_CACHE", "/s")];
    assert_eq!(of(&both), ("/s".into(), "/c/phaselab".into()));
}
