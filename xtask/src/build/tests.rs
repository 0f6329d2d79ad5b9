//! Guards the pins: what the manifest says is what the committed module files say.

use super::*;

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_component_of_the_manifest_is_pinned_to_the_same_version_in_go_mod() {
    let dir = repo().join("stack/otelcol");
    let manifest = fs::read_to_string(dir.join("manifest.yaml")).unwrap();
    let go_mod = fs::read_to_string(dir.join("go.mod")).unwrap();
    let components: Vec<&str> = manifest.lines().filter_map(|line| line.trim().strip_prefix("- gomod: ")).collect();
    assert!(components.len() >= 15, "the manifest was not understood: {components:?}");
    for component in components {
        assert!(go_mod.contains(&format!("\t{component}\n")), "{component}: run `cargo xtask stack --tidy`");
    }
}

#[test]
fn the_builder_has_the_version_of_the_components_it_assembles() {
    let builder =
        go::version_of(&repo().join("stack/builder/go.mod"), "go.opentelemetry.io/collector/cmd/builder").unwrap();
    let manifest = fs::read_to_string(repo().join("stack/otelcol/manifest.yaml")).unwrap();
    assert!(manifest.contains(&format!("otlpreceiver {builder}\n")), "the builder is {builder}");
}

#[test]
fn nothing_is_built_when_everything_is_there() {
    let cache = tempfile::tempdir().unwrap();
    let stack_dir = repo().join("stack");
    let bin = cache::bin_dir(cache.path(), &stack_dir).unwrap();
    fs::create_dir_all(&bin).unwrap();
    for program in ["otelcol", "prometheus", "promtool", "jaeger"] {
        fs::write(bin.join(program), "").unwrap();
    }
    assert_eq!(stack(&stack_dir, cache.path(), &mut Progress::default()).unwrap(), bin);
}
