//! Guards what each program is told: one wrong port or inherited variable and the promise is void.

use std::collections::BTreeMap;

use super::*;
use crate::config::{Protocol, TraceStore};
use crate::ports::{Ports, VARIABLES};
use crate::programs::Programs;

fn config(store: TraceStore, root: &Path) -> StackConfig {
    let mut ports = Ports::default();
    for (index, variable) in VARIABLES.iter().enumerate() {
        *(variable.slot)(&mut ports) = 30_000 + u16::try_from(index).unwrap();
    }
    StackConfig {
        root: root.to_path_buf(),
        repo: crate::repo(),
        ports,
        programs: Some(Programs {
            collector: "/c".into(),
            prometheus: "/p".into(),
            alertmanager: "/a".into(),
            store,
            trace_store: "/t".into(),
        }),
        service: Some("/s".into()),
        protocol: Protocol::Grpc,
        watch: true,
        workers: true,
        overlays: vec!["otel-collector/tests/strip-mark.yaml".into()],
        env: BTreeMap::from([("PHASELAB_SAMPLING_PERCENTAGE".to_owned(), "1".to_owned())]),
        env_remove: vec!["OTEL_TRACES_SAMPLER".to_owned()],
        alertmanager_config: "alertmanager.yml".into(),
        prometheus_config: None,
        prometheus_flags: Vec::new(),
        metrics_retention_h: 1,
        traces_retention_h: 2,
    }
}

fn launches(config: &StackConfig) -> BTreeMap<&'static str, Launch> {
    config.parts().into_iter().map(|(name, program)| (name.label(), launches::launch(config, name, &program))).collect()
}

fn args(launch: &Launch) -> String {
    launch.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn senders_start_after_the_stores_and_the_watcher_last() {
    let labels: Vec<_> =
        config(TraceStore::Tempo, Path::new("/r")).parts().into_iter().map(|(name, _)| name.label()).collect();
    let services = ["phaselab", "worker-bad", "worker-optimized", "verify"];
    assert_eq!(labels, [&["tempo", "alertmanager", "prometheus", "collector"], &services[..]].concat());
    let alone =
        StackConfig { programs: None, watch: false, workers: false, ..config(TraceStore::Tempo, Path::new("/r")) };
    assert_eq!(alone.parts().len(), 1);
}

#[test]
fn the_collector_sends_where_the_stores_listen() {
    for store in [TraceStore::Tempo, TraceStore::Jaeger] {
        let config = config(store, Path::new("/r"));
        let launches = launches(&config);
        let collector = &launches["collector"];
        assert_eq!(collector.env["PHASELAB_TRACES_ENDPOINT"], format!("127.0.0.1:{}", config.ports.traces_otlp_grpc));
        assert_eq!(
            collector.env["PHASELAB_PROMETHEUS_OTLP_ENDPOINT"],
            format!("http://127.0.0.1:{}/api/v1/otlp", config.ports.prometheus)
        );
        assert_eq!(collector.env["PHASELAB_SAMPLING_PERCENTAGE"], "1");
        assert!(
            args(collector).ends_with("otel-collector/tests/strip-mark.yaml"),
            "overlays come last: {}",
            args(collector)
        );
        let listening = format!("{:?} {}", launches[store.name()].env, args(&launches[store.name()]));
        assert!(listening.contains(&config.ports.traces_otlp_grpc.to_string()), "{listening}");
    }
}

#[test]
fn every_port_that_is_checked_is_told_to_a_program_and_jaegers_others_are_port_zero() {
    for store in [TraceStore::Tempo, TraceStore::Jaeger] {
        let mut config = config(store, Path::new("/r"));
        let all: String =
            launches(&config).values().map(|launch| format!("{:?} {}", launch.env, args(launch))).collect();
        for variable in VARIABLES {
            let port = *(variable.slot)(&mut config.ports);
            if config.uses(variable.owner) {
                assert!(all.contains(&port.to_string()), "{} reaches no program", variable.name);
            }
        }
    }
    let jaeger = args(&launches(&config(TraceStore::Jaeger, Path::new("/r")))["jaeger"]);
    assert_eq!(jaeger.matches("host-port=127.0.0.1:0").count(), 7, "{jaeger}");
}

#[test]
fn backends_do_not_trace_themselves_into_the_collector() {
    let launches = launches(&config(TraceStore::Jaeger, Path::new("/r")));
    for backend in ["collector", "prometheus", "alertmanager", "jaeger"] {
        assert_eq!(launches[backend].env_remove, ["OTEL_TRACES_SAMPLER"]);
    }
    assert_eq!(launches["jaeger"].env["OTEL_TRACES_SAMPLER"], "always_off");
    assert!(
        !launches["phaselab"].env_remove.contains(&"OTEL_TRACES_SAMPLER".to_owned()),
        "it is meant for the service"
    );
}

#[test]
fn alertmanager_is_told_its_configuration_and_reads_files_from_beside_it() {
    let config = config(TraceStore::Jaeger, Path::new("/r"));
    let of = |config: &StackConfig| launches(config).remove("alertmanager").unwrap();
    let dir = config.repo.join("alertmanager");
    assert_eq!(of(&config).dir.as_ref(), Some(&dir));
    assert!(args(&of(&config)).contains(&format!("--config.file={}", dir.join("alertmanager.yml").display())));
    let elsewhere = StackConfig { alertmanager_config: "/elsewhere/a.yml".into(), ..config };
    assert!(args(&of(&elsewhere)).contains("--config.file=/elsewhere/a.yml "));
}

#[test]
fn the_service_exports_to_this_stack_over_the_chosen_protocol() {
    for (protocol, name) in [(Protocol::Grpc, "grpc"), (Protocol::Http, "http/protobuf")] {
        let config = StackConfig { protocol, ..config(TraceStore::Jaeger, Path::new("/r")) };
        let port = if protocol == Protocol::Grpc { config.ports.otlp_grpc } else { config.ports.otlp_http };
        let service = &launches(&config)["phaselab"];
        assert_eq!(service.env["OTEL_EXPORTER_OTLP_PROTOCOL"], name);
        assert_eq!(service.env["OTEL_EXPORTER_OTLP_ENDPOINT"], format!("http://127.0.0.1:{port}"));
        assert!(service.env_remove.contains(&"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned()));
        assert_eq!(service.env["PHASELAB_TRACE_STORE"], "jaeger");
    }
}

#[test]
fn alone_the_service_keeps_the_exporters_its_user_has_chosen() {
    let config =
        StackConfig { programs: None, watch: false, workers: false, ..config(TraceStore::Jaeger, Path::new("/r")) };
    let service = &launches(&config)["phaselab"];
    assert!(!service.env.keys().any(|name| name.starts_with("OTEL_")), "{:?}", service.env);
    assert!(service.env_remove.is_empty());
}

#[test]
fn each_worker_has_ports_of_its_own_and_the_service_asks_both() {
    let config = config(TraceStore::Tempo, Path::new("/r"));
    let launches = launches(&config);
    let ports = &config.ports;
    for (label, own, diagnostics) in [
        ("worker-bad", ports.worker_bad, ports.worker_bad_diagnostics),
        ("worker-optimized", ports.worker_optimized, ports.worker_optimized_diagnostics),
    ] {
        let worker = &launches[label];
        assert_eq!(args(worker), format!("worker --kind {}", label.strip_prefix("worker-").unwrap()));
        assert_eq!(worker.env["PHASELAB_LISTEN"], format!("127.0.0.1:{own}"));
        assert_eq!(worker.env["PHASELAB_DIAGNOSTICS_LISTEN"], format!("127.0.0.1:{diagnostics}"));
        assert!(worker.ready.as_ref().unwrap().contains(&own.to_string()));
        assert!(worker.env_remove.contains(&"OTEL_SERVICE_NAME".to_owned()), "it would be the service's");
        let peers = &launches["phaselab"].env["PHASELAB_DIAGNOSTICS_PEERS"];
        assert!(peers.contains(&diagnostics.to_string()), "{peers}");
    }
}

#[test]
fn prometheus_finds_its_configuration_and_the_targets_of_this_stack() {
    let root = tempfile::tempdir().unwrap();
    let config = config(TraceStore::Jaeger, root.path());
    for _ in 0..2 {
        targets::write(&config).unwrap();
    }
    let dir = root.path().join("prometheus");
    assert!(fs::read_to_string(dir.join("prometheus.yml")).unwrap().contains("out_of_order_time_window"));
    for (file, port) in [
        ("prometheus.yml", config.ports.prometheus),
        ("alertmanager.yml", config.ports.alertmanager),
        ("collector.yml", config.ports.collector_metrics),
        ("trace-store.yml", config.ports.jaeger_admin),
    ] {
        let text = fs::read_to_string(dir.join("targets").join(file)).unwrap();
        assert_eq!(text, format!("[{{\"targets\":[\"127.0.0.1:{port}\"]}}]\n"));
        assert!(config.repo.join("prometheus/targets").join(file).is_file(), "containers need {file} too");
        assert!(fs::read_to_string(dir.join("prometheus.yml")).unwrap().contains(&format!("[targets/{file}]")));
    }
}

#[test]
fn a_state_that_is_written_reads_back_the_same() {
    let root = tempfile::tempdir().unwrap();
    let state = crate::state::State { way: crate::config::Way::Native, stack: config(TraceStore::Tempo, root.path()) };
    state.write().unwrap();
    let read = crate::state::State::read(root.path()).unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{state:?}"));
    crate::state::State::forget(root.path()).unwrap();
    assert!(crate::state::State::read(root.path()).unwrap().is_none());
    crate::state::State::forget(root.path()).unwrap();
}
