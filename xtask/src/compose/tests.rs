//! Guards what containers and native programs must have in common, as far as text can tell.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::ports::VARIABLES;

fn file(name: &str) -> String {
    fs::read_to_string(crate::repo().join(name)).unwrap()
}

/// The `name=value` lines of a file, after `prefix`.
fn pairs(text: &str, prefix: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn containers_open_loopback_ports_alone_and_the_variables_have_the_defaults_of_native_programs() {
    let text = file("docker-compose.yml");
    let mut defaults = Ports::default();
    let expected: BTreeMap<&str, u16> =
        VARIABLES.iter().map(|variable| (variable.name, *(variable.slot)(&mut defaults))).collect();
    let mut lines = text.lines().map(str::trim);
    let mut published = Vec::new();
    while let Some(line) = lines.next() {
        if line == "ports:" {
            published.extend(lines.by_ref().map_while(|line| line.strip_prefix("- ")));
        }
    }
    for port in &published {
        let (name, rest) = port.strip_prefix("127.0.0.1:${").and_then(|rest| rest.split_once(":-")).expect(port);
        let (default, inside) = rest.split_once("}:").expect(port);
        assert_eq!(default.parse(), Ok(expected[name]), "{port}");
        assert_eq!(default, inside, "{port}");
    }
    assert_eq!(published.len(), 12);
}

#[test]
fn the_diagnostics_of_the_service_can_be_turned_off_in_containers() {
    let line = "      PHASELAB_DIAGNOSTICS_LISTEN: ${PHASELAB_DIAGNOSTICS_LISTEN:-0.0.0.0:6060}\n";
    assert!(file("docker-compose.yml").contains(line));
}

#[test]
fn the_image_is_built_from_the_same_images_with_and_without_compose() {
    let pins = pairs(&file(".env"), "");
    let defaults = pairs(&file("Dockerfile"), "ARG ");
    assert_eq!(defaults.len(), 2);
    for (name, image) in defaults {
        assert_eq!(pins[&name], image, "{name}");
    }
}

#[test]
fn a_container_that_failed_is_told_from_one_that_is_done() {
    for fine in ["tempo running 0 healthy", "collector running 0 ", "collector-data exited 0 ", "verify created 0 "] {
        assert_eq!(parse_broken(fine), None, "{fine}");
    }
    for (line, how) in [
        ("collector exited 1 ", "has ended (exited, exit code 1)"),
        ("tempo exited 137 ", "has ended (exited, exit code 137)"),
        ("phaselab running 0 unhealthy", "is unhealthy"),
    ] {
        assert_eq!(parse_broken(line).unwrap().how, how, "{line}");
    }
}
