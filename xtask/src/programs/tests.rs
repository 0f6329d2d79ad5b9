//! Guards the order in which programs are looked for, and that an unfit one never hides a fit one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn put(dir: &Path, file: &str, says: &str) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(file);
    fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn places(dirs: &[(&str, &Path)]) -> Places {
    Places { directories: dirs.iter().map(|(kind, dir)| ((*kind).to_owned(), dir.to_path_buf())).collect() }
}

#[test]
fn stack_bin_wins_over_path_and_path_over_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| root.path().join(name));
    let places = places(&[("STACK_BIN", &a), ("PATH", &b), ("cache", &c)]);
    let says = "prometheus, version 3.14.0 (branch: HEAD)";
    for dir in [&c, &b, &a] {
        let path = put(dir, "prometheus", says);
        assert_eq!(places.find(&PROMETHEUS).found, Some(path));
    }
}

#[test]
fn a_version_that_will_not_do_is_passed_over_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| root.path().join(name));
    put(&a, "prometheus", "prometheus, version 2.42.0 (branch: debian/sid)");
    let good = put(&b, "prometheus", "prometheus, version  (branch: , revision: unknown)");
    let search = places(&[("PATH", &a), ("cache", &b)]).find(&PROMETHEUS);
    assert_eq!(search.found, Some(good), "one that does not know its version is accepted");
    assert!(
        search.passed_over[0].contains("version 2.42 will not do, 3.11 is the first that does"),
        "{:?}",
        search.passed_over
    );
}

#[test]
fn jaeger_of_the_second_line_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "jaeger", r#"{"gitVersion":"v2.3.0"}"#);
    assert!(places(&[("PATH", root.path())]).find(&JAEGER).found.is_none());
}

#[test]
fn a_file_without_the_executable_bit_is_no_program() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("tempo"), "").unwrap();
    assert!(places(&[("PATH", root.path())]).find(&TEMPO).found.is_none());
}

#[test]
fn tempo_is_preferred_jaeger_steps_in_and_a_choice_is_binding() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "otelcol-contrib", "otelcol-contrib version 0.159.0");
    put(root.path(), "prometheus", "prometheus, version 3.14.0");
    put(root.path(), "alertmanager", "alertmanager, version 0.31.1");
    put(root.path(), "jaeger", r#"{"gitVersion":"v1.62.0"}"#);
    let places = places(&[("PATH", root.path())]);
    assert_eq!(Programs::find(&places, None).unwrap().store, TraceStore::Jaeger);
    assert_eq!(Programs::find(&places, Some(TraceStore::Tempo)).unwrap_err(), ["tempo"]);
    put(root.path(), "tempo", "tempo, version 3.0.3 (branch: HEAD)");
    assert_eq!(Programs::find(&places, None).unwrap().store, TraceStore::Tempo);
    assert_eq!(Programs::find(&places, Some(TraceStore::Jaeger)).unwrap().store, TraceStore::Jaeger);
}

#[test]
fn all_missing_programs_are_named() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        Programs::find(&places(&[("PATH", root.path())]), None).unwrap_err(),
        ["otelcol", "prometheus", "alertmanager", "jaeger"]
    );
}

#[test]
fn versions_are_found_in_what_the_programs_print() {
    assert_eq!(parse_version("otelcol version 0.159.0"), Some((0, 159)));
    assert_eq!(
        parse_version("build date 20260817-10:11:12 go1.26.8 version 3.14.0"),
        Some((1, 26)),
        "the first one counts"
    );
    assert_eq!(parse_version("version  (branch: )"), None);
}
