//! Background programs: how one is started, recognised again later, watched and stopped.
//!
//! A program is recognised by its pid together with the moment it was started. The pid alone is not
//! enough: after a crash or a reboot the same number may belong to something that is none of ours.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};

/// A program that was started, as its pid file remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When the process was started, in a form that no other process of this machine shares.
    pub started: String,
}

impl Identity {
    /// Recognises a running process; `None` when there is none, or only its exit status is left.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in the second field may itself hold spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (state, start_ticks) = (fields.first()?, fields.get(19)?);
        if matches!(*state, "Z" | "X") {
            return None;
        }
        // Ticks count from the boot, so they only mean something together with it.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self { pid, started: format!("{start_ticks}@{}", boot.trim()) })
    }

    /// Whether the very process that this identity was taken from still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        self.is_alive().then_some(kib * 1024)
    }

    /// Sends a signal, unless the process is gone.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may end between the check and the call; that is what was wanted.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Reads a pid file; `None` if there is none or it cannot be understood.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        Some(Self { pid: lines.next()?.parse().ok()?, started: lines.next()?.to_owned() })
    }

    /// Writes a pid file: the pid on the first line, the start on the second.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{}\n{}\n", self.pid, self.started))
    }
}

/// What it takes to start one program.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its name in messages and file names.
    pub name: &'static str,
    /// The file to execute.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Its working directory; that of this process unless it is given.
    pub dir: Option<PathBuf>,
    /// Variables set on top of the inherited ones.
    pub env: BTreeMap<String, String>,
    /// Inherited variables that the program must not see.
    pub env_remove: Vec<String>,
    /// The address that answers 200 once the program is ready; `None` for one that serves nothing.
    pub ready: Option<String>,
    /// How long it may take to end after SIGTERM.
    pub stop_within: Duration,
}

impl Launch {
    /// Starts the program in a process group of its own, so that it outlives this one and does not
    /// get the terminal's Ctrl-C. Its output goes to `log`; the previous log is kept as `<log>.1`.
    ///
    /// # Errors
    /// If the log cannot be opened or the program cannot be executed.
    pub fn spawn(&self, log: &Path) -> anyhow::Result<Child> {
        if log.exists() {
            fs::rename(log, log.with_extension("log.1"))
                .with_context(|| format!("cannot keep the old {}", log.display()))?;
        }
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let err = out.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&self.program);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        for name in &self.env_remove {
            command.env_remove(name);
        }
        command
            .args(&self.args)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot execute {} for {}", self.program.display(), self.name))
    }
}

/// Stops programs together: SIGTERM to all, then SIGKILL to those that exceed their time.
/// Returns the names of those that had to be killed.
///
/// # Errors
/// If one survives SIGKILL, which only a process stuck in the kernel does.
pub fn stop(programs: &[(&'static str, Identity, Duration)]) -> anyhow::Result<Vec<&'static str>> {
    for (_, identity, _) in programs {
        identity.signal(Signal::TERM);
    }
    let start = Instant::now();
    let mut killed = Vec::new();
    for (name, identity, within) in programs {
        if wait_gone(identity, within.saturating_sub(start.elapsed())) {
            continue;
        }
        identity.signal(Signal::KILL);
        killed.push(*name);
        if !wait_gone(identity, Duration::from_secs(5)) {
            bail!("{name} (pid {}) does not end, not even after SIGKILL", identity.pid);
        }
    }
    Ok(killed)
}

/// Waits until the process is gone; `false` if it still runs after `within`.
#[must_use]
pub fn wait_gone(identity: &Identity, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while identity.is_alive() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The last lines of a log, at most `lines` of them from its last 64 KiB.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> Vec<String> {
    const WINDOW: u64 = 64 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.take(WINDOW).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return vec![format!("(no log at {}: {error})", log.display())],
    };
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests;
