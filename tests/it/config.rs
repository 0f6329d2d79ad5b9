//! The command line and the configuration. Catches: faults reported one at a time, wrong exit codes, secrets on screen.

use crate::server::run;

const HOME: (&str, &str) = ("HOME", "/nowhere");

#[test]
fn serve_and_check_report_all_faults_at_once() {
    let variables = [
        HOME,
        ("PHASELAB_LISTEN", "here"),
        ("PHASELAB_REQUEST_TIMEOUT", "20"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
    ];
    for command in ["serve", "check"] {
        let finished = run(&[command], &variables);
        assert_eq!(finished.status.code(), Some(64), "{finished:?}");
        let lines: Vec<_> = finished.stderr.lines().collect();
        assert_eq!(lines.len(), 4, "{finished:?}");
        for ((name, value), line) in [variables[1], variables[2], variables[4], variables[3]].iter().zip(lines) {
            assert!(line.starts_with(&format!("{name}={value:?}")), "{line}");
        }
    }
}

#[test]
fn check_passes_on_the_defaults_and_prints_them() {
    let finished = run(&["check", "--print"], &[HOME]);
    assert_eq!((finished.status.code(), finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    for line in [
        "PHASELAB_LISTEN=127.0.0.1:8080",
        "PHASELAB_DATABASE=/nowhere/.local/share/phaselab/phaselab.db",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:4318/v1/traces",
        "OTEL_METRIC_EXPORT_INTERVAL=5000",
    ] {
        assert!(finished.stdout.lines().any(|given| given == line), "{line}: {finished:?}");
    }
    assert_eq!(finished.stdout.lines().filter(|line| line.starts_with("ok: ")).count(), 6);
}

#[test]
fn a_broken_timing_rule_fails_the_check_and_says_how_to_mend_it() {
    let finished = run(&["check", "--decision-wait", "25s"], &[HOME]);
    assert_eq!(finished.status.code(), Some(64), "{finished:?}");
    assert!(finished.stderr.contains("20s + 1s + 5s = 26s < 25s"), "{finished:?}");
    assert!(finished.stderr.contains("raise PHASELAB_DECISION_WAIT"), "{finished:?}");
}

#[test]
fn serve_refuses_timing_under_which_no_exemplar_could_be_trusted() {
    let finished = run(&["--request-timeout", "29s"], &[HOME]);
    assert_eq!(finished.status.code(), Some(64), "{finished:?}");
    assert!(finished.stderr.contains("29s + 1s < 30s"), "{finished:?}");
}

#[test]
fn what_the_specification_forgives_only_fails_the_check() {
    let variables = [HOME, ("OTEL_TRACES_SAMPLER", "sometimes")];
    let finished = run(&["check"], &variables);
    assert_eq!(finished.status.code(), Some(64));
    assert!(finished.stderr.contains("(ignored by serve)"), "{finished:?}");
    let server = crate::server::Server::start(&variables[1..]);
    let warning = server.log.wait_for("a variable is ignored");
    assert!(warning["fields"]["fault"].as_str().unwrap().contains("OTEL_TRACES_SAMPLER"));
}

#[test]
fn secrets_are_not_shown() {
    let secret = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush");
    let finished = run(&["check", "--print"], &[HOME, secret]);
    assert!(finished.stdout.contains("api-key=(withheld)") && !finished.stdout.contains("hush"), "{finished:?}");
}

#[test]
fn a_taken_port_is_named_with_the_variable_that_moves_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = run(&["serve", "--listen", &address], &[HOME]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.stderr.contains(&address) && finished.stderr.contains("PHASELAB_LISTEN"), "{finished:?}");
}

#[test]
fn arguments_have_their_exit_codes() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&["--nonsense"], 64),
        (&["nonsense"], 64),
        (&["serve", "--listen"], 64),
    ] {
        assert_eq!(run(arguments, &[HOME]).status.code(), Some(code), "{arguments:?}");
    }
}
