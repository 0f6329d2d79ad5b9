//! Flags over variables over defaults, and the list of faults.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;

use super::worker::Role;

/// Where variables come from: the process, or a map in tests.
pub trait Environment {
    /// The value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<OsString>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    fn get(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl<S: std::hash::BuildHasher> Environment for HashMap<&str, &str, S> {
    fn get(&self, name: &str) -> Option<OsString> {
        HashMap::get(self, name).map(OsString::from)
    }
}

/// A command-line flag that stands in for a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The variable it overrides.
    pub variable: &'static str,
    /// The flag as it is typed.
    pub flag: &'static str,
    /// The value given.
    pub value: String,
}

/// Whether a fault stops the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The value is not used, the default is; `check` still fails.
    Ignored,
    /// Nothing starts.
    Refused,
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable or flag.
    pub source: String,
    /// Its value; headers and tokens are withheld because they are credentials.
    pub value: String,
    /// The rule it breaks.
    pub rule: String,
    /// What to write instead.
    pub fix: String,
    /// Whether it stops the service.
    pub severity: Severity,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, value, rule, fix, severity } = self;
        write!(f, "{source}={value:?} {rule}: {fix}")?;
        if *severity == Severity::Ignored {
            f.write_str(" (ignored by serve)")?;
        }
        Ok(())
    }
}

/// All faults of one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Looks values up and collects what is wrong with them.
pub(super) struct Reader<'a> {
    role: Role,
    env: &'a dyn Environment,
    flags: &'a [Flag],
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(role: Role, env: &'a dyn Environment, flags: &'a [Flag]) -> Self {
        Self { role, env, flags, faults: Vec::new() }
    }

    /// What the process is.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn into_faults(self) -> Faults {
        Faults(self.faults)
    }

    /// How many faults stop the service so far.
    pub(super) fn refused(&self) -> usize {
        self.faults.iter().filter(|fault| fault.severity == Severity::Refused).count()
    }

    /// The text of a variable, or of the role's default; empty means unset, as the specification has it.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.given(name).or_else(|| self.role.default_of(name).map(str::to_owned))
    }

    fn given(&mut self, name: &str) -> Option<String> {
        if let Some(flag) = self.flags.iter().find(|flag| flag.variable == name) {
            return Some(flag.value.clone());
        }
        match self.env.get(name)?.into_string() {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => Some(text),
            Err(raw) => {
                let shown = raw.to_string_lossy().into_owned();
                self.refuse(name, &shown, "is not UTF-8", "write it in UTF-8");
                None
            }
        }
    }

    /// A value that must be right when it is given; `rule` and `fix` make the message.
    pub(super) fn strict<T>(
        &mut self,
        name: &str,
        default: T,
        (rule, fix): (&str, &str),
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(text.trim()).unwrap_or_else(|| {
            self.refuse(name, &text, rule, fix);
            default
        })
    }

    /// A value of the specification: one that nobody knows is ignored.
    pub(super) fn lenient<T>(
        &mut self,
        name: &str,
        default: T,
        (rule, fix): (&str, &str),
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(text.trim()).unwrap_or_else(|| {
            self.ignore(name, &text, rule, fix);
            default
        })
    }

    /// Notes a fault that stops the service.
    pub(super) fn refuse(&mut self, name: &str, value: &str, rule: &str, fix: &str) {
        self.push(name, value, rule, fix, Severity::Refused);
    }

    /// Notes a fault that the specification forgives.
    pub(super) fn ignore(&mut self, name: &str, value: &str, rule: &str, fix: &str) {
        self.push(name, value, rule, fix, Severity::Ignored);
    }

    fn push(&mut self, name: &str, value: &str, rule: &str, fix: &str, severity: Severity) {
        let source = self.flags.iter().find(|flag| flag.variable == name).map_or(name, |flag| flag.flag);
        let secret = name.ends_with("_HEADERS") || name.ends_with("_TOKEN");
        let value = if secret { "(withheld)" } else { value };
        let fault = Fault {
            source: source.to_owned(),
            value: value.to_owned(),
            rule: rule.to_owned(),
            fix: fix.to_owned(),
            severity,
        };
        // Both signals read the common variables; once is enough.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}
