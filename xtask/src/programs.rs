//! Finds the programs of the stack: in `$STACK_BIN`, on `PATH`, or where `stack` has built them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache;
use crate::config::{Settings, TraceStore};

/// A program of the stack and what has to be true of it.
#[derive(Debug)]
pub struct Program {
    /// Its name in the cache and in messages.
    pub name: &'static str,
    /// File names to look for, the best first.
    files: &'static [&'static str],
    /// How to ask for its version.
    version: &'static str,
    /// The first version that will do.
    from: (u32, u32),
    /// The first major version that no longer will.
    before_major: u32,
    /// Why.
    because: &'static str,
}

/// The collector.
pub const COLLECTOR: Program = Program {
    name: "otelcol",
    files: &["otelcol", "otelcol-contrib"],
    version: "--version",
    from: (0, 150),
    before_major: 2,
    because: "older ones do not know the configuration's component names",
};
/// Prometheus.
pub const PROMETHEUS: Program = Program {
    name: "prometheus",
    files: &["prometheus"],
    version: "--version",
    from: (3, 11),
    before_major: u32::MAX,
    because: "older ones lack the OTLP receiver or mix up exemplars of a histogram",
};
/// Prometheus's checker.
pub const PROMTOOL: Program = Program { name: "promtool", files: &["promtool"], ..PROMETHEUS };
/// Alertmanager.
pub const ALERTMANAGER: Program = Program {
    name: "alertmanager",
    // Debian's package gives it a prefix.
    files: &["alertmanager", "prometheus-alertmanager"],
    version: "--version",
    from: (0, 25),
    before_major: u32::MAX,
    because: "older ones cannot read the address of Slack from a file",
};
/// Alertmanager's checker.
pub const AMTOOL: Program = Program { name: "amtool", files: &["amtool"], ..ALERTMANAGER };
/// Tempo.
pub const TEMPO: Program = Program {
    name: "tempo",
    files: &["tempo"],
    version: "--version",
    from: (3, 0),
    before_major: u32::MAX,
    because: "older ones do not know the configuration",
};
/// Jaeger all-in-one.
pub const JAEGER: Program = Program {
    name: "jaeger",
    files: &["jaeger", "jaeger-all-in-one"],
    version: "version",
    from: (1, 50),
    before_major: 2,
    because: "the second line takes a configuration file instead of flags",
};
/// Docker Compose as a program of its own.
pub const COMPOSE: Program = Program {
    name: "docker-compose",
    files: &["docker-compose"],
    version: "version",
    from: (2, 20),
    before_major: u32::MAX,
    because: "older ones do not know the compose file's form",
};

/// Where programs are looked for, in order.
#[derive(Debug, Clone)]
pub struct Places {
    directories: Vec<(String, PathBuf)>,
}

impl Places {
    /// `$STACK_BIN`, then `PATH`, then the cache of what `stack` built from `stack_dir`.
    ///
    /// # Errors
    /// If `stack_dir` cannot be read.
    pub fn new(settings: &Settings, stack_dir: &Path) -> anyhow::Result<Self> {
        let mut directories = Vec::new();
        if let Some(dir) = &settings.stack_bin {
            directories.push(("STACK_BIN".to_owned(), dir.clone()));
        }
        directories.extend(settings.path.iter().map(|dir| ("PATH".to_owned(), dir.clone())));
        directories.push(("cache".to_owned(), cache::bin_dir(&settings.cache, stack_dir)?));
        Ok(Self { directories })
    }

    /// The first file that is `program` in a version that will do.
    #[must_use]
    pub fn find(&self, program: &Program) -> Search {
        let mut passed_over = Vec::new();
        for (_, dir) in &self.directories {
            for file in program.files {
                let path = dir.join(file);
                if !is_executable(&path) {
                    continue;
                }
                match program.objection(&path) {
                    None => return Search { found: Some(path), passed_over },
                    Some(objection) => passed_over.push(format!("{}: {objection}", path.display())),
                }
            }
        }
        Search { found: None, passed_over }
    }

    /// The places in words, for a message about something that is in none of them.
    #[must_use]
    pub fn describe(&self) -> String {
        let cache = self.directories.last().map(|(_, dir)| dir.display().to_string()).unwrap_or_default();
        let stack_bin = self.directories.first().filter(|(kind, _)| kind == "STACK_BIN");
        let first =
            stack_bin.map_or("$STACK_BIN (not set)".to_owned(), |(_, dir)| format!("$STACK_BIN ({})", dir.display()));
        format!("{first}, PATH, {cache}")
    }
}

/// What a search came to.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The program, if there is one that will do.
    pub found: Option<PathBuf>,
    /// Files of that name that will not do, each with the reason.
    pub passed_over: Vec<String>,
}

/// The programs of a native stack.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Programs {
    /// The collector.
    pub collector: PathBuf,
    /// Prometheus.
    pub prometheus: PathBuf,
    /// Alertmanager.
    // A stack that an earlier version has started had none, and must be stopped by this one.
    #[serde(default)]
    pub alertmanager: PathBuf,
    /// Which trace store.
    pub store: TraceStore,
    /// The trace store.
    pub trace_store: PathBuf,
}

impl Programs {
    /// Finds a complete set; Tempo before Jaeger, unless the settings say which.
    ///
    /// # Errors
    /// One line for each program that is missing or unfit.
    pub fn find(places: &Places, wanted: Option<TraceStore>) -> Result<Self, Vec<String>> {
        let mut missing = Vec::new();
        let mut need = |program: &Program| {
            let search = places.find(program);
            if search.found.is_none() {
                missing.push(program.name.to_owned());
                missing.extend(search.passed_over);
            }
            search.found
        };
        let collector = need(&COLLECTOR);
        let prometheus = need(&PROMETHEUS);
        let alertmanager = need(&ALERTMANAGER);
        let trace_store = match wanted {
            Some(TraceStore::Tempo) => need(&TEMPO).map(|path| (TraceStore::Tempo, path)),
            Some(TraceStore::Jaeger) => need(&JAEGER).map(|path| (TraceStore::Jaeger, path)),
            None => match places.find(&TEMPO) {
                Search { found: Some(path), .. } => Some((TraceStore::Tempo, path)),
                Search { found: None, passed_over } => {
                    let jaeger = need(&JAEGER).map(|path| (TraceStore::Jaeger, path));
                    if jaeger.is_none() {
                        missing.extend(passed_over);
                    }
                    jaeger
                }
            },
        };
        match (collector, prometheus, alertmanager, trace_store) {
            (Some(collector), Some(prometheus), Some(alertmanager), Some((store, trace_store))) => {
                Ok(Self { collector, prometheus, alertmanager, store, trace_store })
            }
            _ => Err(missing),
        }
    }
}

impl Program {
    /// Why the file at `path` will not do. One that does not say its version is given the benefit of
    /// the doubt: builds from source often do not know it.
    fn objection(&self, path: &Path) -> Option<String> {
        let output = Command::new(path).arg(self.version).stdin(Stdio::null()).output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return Some(format!("cannot be executed ({error})")),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let (major, minor) = parse_version(&text)?;
        let fits = (major, minor) >= self.from && major < self.before_major;
        (!fits).then(|| {
            format!(
                "version {major}.{minor} will not do, {}.{} is the first that does: {}",
                self.from.0, self.from.1, self.because
            )
        })
    }
}

/// The first `major.minor.patch` in a text.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut parts = word.split('.');
        let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next()?.parse::<u32>().ok()?;
        Some((major, minor))
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
