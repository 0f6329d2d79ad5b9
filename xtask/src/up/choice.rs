//! Which way `up` takes, why, and what a better way would need.

use anyhow::bail;

use crate::config::Way;
use crate::programs::Programs;

/// A way and the reasons for it.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) way: Way,
    /// One sentence.
    pub(super) why: String,
    /// What the better ways lack, a line each.
    pub(super) missing: Vec<String>,
    /// The programs of the native way.
    pub(super) programs: Option<Programs>,
}

/// Containers where there is an engine, native programs where they are found, else the service
/// alone; a forced way is taken or fails.
pub(super) fn choose(
    forced: Option<Way>,
    docker: impl Fn() -> Result<(), String>,
    native: impl Fn() -> Result<Programs, Vec<String>>,
    places: &str,
) -> anyhow::Result<Choice> {
    let missing_programs = |missing: &[String]| {
        let lines = missing.join("\n      ");
        format!(
            "  for native programs, in {places}:\n    missing:\n      {lines}\n    `make stack` builds them (needs Go), or name their directory in STACK_BIN"
        )
    };
    match forced {
        Some(Way::Docker) => match docker() {
            Ok(()) => Ok(Choice {
                way: Way::Docker,
                why: "containers, because PHASELAB_UP=docker".to_owned(),
                missing: Vec::new(),
                programs: None,
            }),
            Err(reason) => bail!("PHASELAB_UP=docker, but {reason}"),
        },
        Some(Way::Native) => match native() {
            Ok(programs) => Ok(native_choice("because PHASELAB_UP=native", programs, Vec::new())),
            Err(missing) => bail!("PHASELAB_UP=native, but programs are missing\n{}", missing_programs(&missing)),
        },
        Some(Way::Single) => Ok(Choice {
            way: Way::Single,
            why: "the service alone, because PHASELAB_UP=single".to_owned(),
            missing: Vec::new(),
            programs: None,
        }),
        None => {
            let no_docker = match docker() {
                Ok(()) => {
                    return Ok(Choice {
                        way: Way::Docker,
                        why: "containers, because a Docker engine answers (PHASELAB_UP=native takes native programs instead)".to_owned(),
                        missing: Vec::new(),
                        programs: None,
                    });
                }
                Err(reason) => format!("  for containers: {reason}"),
            };
            match native() {
                Ok(programs) => Ok(native_choice("because they are found and no Docker engine is", programs, vec![no_docker])),
                Err(missing) => Ok(Choice {
                    way: Way::Single,
                    why: "the service alone, without collector, Prometheus and trace store: neither a Docker engine nor the native programs are there"
                        .to_owned(),
                    missing: vec![no_docker, missing_programs(&missing)],
                    programs: None,
                }),
            }
        }
    }
}

fn native_choice(why: &str, programs: Programs, missing: Vec<String>) -> Choice {
    let why = format!("native programs, {why}; traces go to {}", programs.store.name());
    Choice { way: Way::Native, why, missing, programs: Some(programs) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TraceStore;

    fn found() -> Result<Programs, Vec<String>> {
        Ok(Programs {
            collector: "c".into(),
            prometheus: "p".into(),
            alertmanager: "a".into(),
            store: TraceStore::Jaeger,
            trace_store: "j".into(),
        })
    }

    fn none() -> Result<Programs, Vec<String>> {
        Err(vec!["otelcol".to_owned(), "jaeger".to_owned()])
    }

    fn no_engine() -> Result<(), String> {
        Err("no Docker engine answers (refused)".to_owned())
    }

    #[test]
    fn an_engine_is_taken_before_programs() {
        assert_eq!(choose(None, || Ok(()), found, "x").unwrap().way, Way::Docker);
    }

    #[test]
    fn programs_are_taken_without_an_engine_and_the_engine_is_named_as_missing() {
        let choice = choose(None, no_engine, found, "x").unwrap();
        assert_eq!(choice.way, Way::Native);
        assert!(choice.why.contains("traces go to jaeger"), "{}", choice.why);
        assert!(choice.missing[0].contains("no Docker engine answers"), "{:?}", choice.missing);
    }

    #[test]
    fn with_neither_the_service_runs_alone_and_everything_missing_is_named() {
        let choice = choose(None, no_engine, none, "$STACK_BIN (not set), PATH, /cache").unwrap();
        assert_eq!(choice.way, Way::Single);
        let missing = choice.missing.join("\n");
        for part in ["no Docker engine", "otelcol", "jaeger", "$STACK_BIN (not set), PATH, /cache", "make stack"] {
            assert!(missing.contains(part), "{part} not in {missing}");
        }
    }

    #[test]
    fn a_forced_way_is_taken_or_fails_but_never_replaced() {
        assert_eq!(choose(Some(Way::Native), || Ok(()), found, "x").unwrap().way, Way::Native);
        assert_eq!(choose(Some(Way::Single), || Ok(()), found, "x").unwrap().way, Way::Single);
        let error = choose(Some(Way::Docker), no_engine, found, "x").unwrap_err().to_string();
        assert!(error.contains("PHASELAB_UP=docker, but no Docker engine"), "{error}");
        assert!(choose(Some(Way::Native), || Ok(()), none, "x").unwrap_err().to_string().contains("otelcol"));
    }
}
