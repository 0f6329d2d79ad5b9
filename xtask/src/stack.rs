//! One native stack: its configuration, starting it in order, watching it, and stopping it.
//!
//! Everything a stack writes lies below its root, so any number of them run side by side.

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::http;
use crate::process::{self, Identity, Launch};
use crate::progress::{Progress, human};

mod config;
mod launches;
pub mod targets;

pub use config::StackConfig;
pub use launches::{Name, addresses, client_env};

/// How long a program may take until it is ready. Tempo waits 15 s by itself before it says so.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A program that serves nothing counts as running after this long: a bad argument ends it sooner.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// Lines of a log that are shown when its program dies.
const SHOWN_LINES: usize = 20;

/// A running program of a stack.
#[derive(Debug)]
struct Running {
    name: Name,
    launch: Launch,
    identity: Identity,
    /// Present when this process started it, and therefore has to reap it.
    child: Option<Child>,
}

/// A stack that runs. Dropping it kills what it runs, unless it was told to [`leave`](Self::leave).
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    running: Vec<Running>,
    /// How long each program took until it was ready, in the order of starting.
    pub ready_after: Vec<(Name, Duration)>,
}

impl Stack {
    /// Checks the ports, starts every program that does not run yet, and waits until all are ready.
    ///
    /// # Errors
    /// If a port is taken, or a program dies or is not ready in time, with the end of its log. What
    /// was started by this call is stopped again.
    pub fn start(config: StackConfig, progress: &mut Progress) -> anyhow::Result<Self> {
        let mut stack = Self::attach(config);
        if stack.running.is_empty() {
            stack.config.check_ports()?;
        }
        stack.prepare()?;
        let missing =
            stack.config.parts().into_iter().map(|(name, _)| name).filter(|name| stack.position(*name).is_none());
        // The stores start together. Whatever sends to them starts when they listen: a refused
        // connection would be tried again only after a growing pause.
        let (stores, senders): (Vec<Name>, Vec<Name>) = missing.partition(|name| name.is_store());
        let start = Instant::now();
        for name in &stores {
            stack.spawn(*name)?;
        }
        for name in &stores {
            stack.wait_ready(*name, start, progress)?;
        }
        for name in senders {
            let start = Instant::now();
            stack.spawn(name)?;
            stack.wait_ready(name, start, progress)?;
        }
        stack.check_alive()?;
        Ok(stack)
    }

    /// Takes over whatever still runs of a stack that another process started.
    #[must_use]
    pub fn attach(config: StackConfig) -> Self {
        let mut running = Vec::new();
        for (name, program) in config.parts() {
            if let Some(identity) = Identity::read(&config.pid_file(name)).filter(Identity::is_alive) {
                running.push(Running {
                    name,
                    launch: launches::launch(&config, name, &program),
                    identity,
                    child: None,
                });
            }
        }
        Self { config, running, ready_after: Vec::new() }
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// The programs that run, each with its identity.
    pub fn running(&self) -> impl Iterator<Item = (Name, &Identity)> {
        self.running.iter().map(|running| (running.name, &running.identity))
    }

    /// Resident memory of each program in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> Vec<(Name, u64)> {
        self.running().filter_map(|(name, identity)| Some((name, identity.resident_bytes()?))).collect()
    }

    /// Starts one program of the stack that does not run, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn start_one(&mut self, name: Name, progress: &mut Progress) -> anyhow::Result<()> {
        if self.position(name).is_none() {
            let start = Instant::now();
            self.spawn(name)?;
            self.wait_ready(name, start, progress)?;
        }
        Ok(())
    }

    /// Ends one program: politely, or without giving it a chance to finish anything. Returns how it
    /// ended, which only the process that started it can know.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop_one(&mut self, name: Name, politely: bool) -> anyhow::Result<Option<ExitStatus>> {
        let Some(position) = self.position(name) else { return Ok(None) };
        let mut running = self.running.remove(position);
        if !politely {
            running.identity.signal(Signal::KILL);
        }
        process::stop(&[(running.name.label(), running.identity, running.launch.stop_within)])?;
        let status = running.child.as_mut().map(Child::wait).transpose()?;
        let _ = fs::remove_file(self.config.pid_file(name));
        Ok(status)
    }

    /// Stops everything: senders first, so that what they still hold arrives, then the stores.
    /// Returns the names of programs that had to be killed.
    ///
    /// # Errors
    /// If a program does not end.
    pub fn stop(mut self, progress: &mut Progress) -> anyhow::Result<Vec<&'static str>> {
        let mut killed = Vec::new();
        for group in [
            &[Name::Verify][..],
            &[Name::Phaselab, Name::WorkerBad, Name::WorkerOptimized],
            &[Name::Collector],
            &[Name::Prometheus, Name::Alertmanager, Name::Tempo, Name::Jaeger],
        ] {
            let (mut stopping, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.running).into_iter().partition(|r| group.contains(&r.name));
            self.running = rest;
            if stopping.is_empty() {
                continue;
            }
            let start = Instant::now();
            let list: Vec<_> =
                stopping.iter().map(|r| (r.name.label(), r.identity.clone(), r.launch.stop_within)).collect();
            killed.extend(process::stop(&list)?);
            for running in &mut stopping {
                if let Some(child) = &mut running.child {
                    child.wait()?;
                }
                let _ = fs::remove_file(self.config.pid_file(running.name));
            }
            let labels: Vec<_> = list.iter().map(|(label, _, _)| *label).collect();
            progress.say(format!("  stopped {} ({})", labels.join(" and "), human(start.elapsed())));
        }
        Ok(killed)
    }

    /// Lets the programs run on after this process ends.
    pub fn leave(mut self) {
        self.running.clear();
    }

    /// Fails if a program has ended, with how it ended and the last lines of its log.
    ///
    /// # Errors
    /// For the first program that no longer runs.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        for running in &mut self.running {
            if running.identity.is_alive() {
                continue;
            }
            let ended = match &mut running.child {
                Some(child) => child.wait()?.to_string(),
                None => "gone".to_owned(),
            };
            bail!("{}", died(running.name, &ended, &self.config.log(running.name)));
        }
        Ok(())
    }

    fn position(&self, name: Name) -> Option<usize> {
        self.running.iter().position(|running| running.name == name)
    }

    fn prepare(&self) -> anyhow::Result<()> {
        for dir in ["run", "logs", "data"] {
            let dir = self.config.root.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        targets::write(&self.config)
    }

    fn spawn(&mut self, name: Name) -> anyhow::Result<()> {
        let Some((_, program)) = self.config.parts().into_iter().find(|(part, _)| *part == name) else {
            bail!("{} is no part of this stack", name.label());
        };
        let launch = launches::launch(&self.config, name, &program);
        let log = self.config.log(name);
        let mut child = launch.spawn(&log)?;
        let Some(identity) = Identity::of(child.id()) else {
            let status = child.wait()?;
            bail!("{}", died(name, &status.to_string(), &log));
        };
        identity
            .write(&self.config.pid_file(name))
            .with_context(|| format!("cannot write the pid file of {}", launch.name))?;
        self.running.push(Running { name, launch, identity, child: Some(child) });
        Ok(())
    }

    fn wait_ready(&mut self, name: Name, start: Instant, progress: &mut Progress) -> anyhow::Result<()> {
        let Some(position) = self.position(name) else { return Ok(()) };
        let (label, url) = (self.running[position].launch.name, self.running[position].launch.ready.clone());
        loop {
            self.check_alive()?;
            let waited = start.elapsed();
            let answer = match url.as_deref() {
                Some(url) => http::is_ready(url),
                None if waited < SETTLED_AFTER => Err("too early to tell".to_owned()),
                None => Ok(()),
            };
            match answer {
                Ok(()) => {
                    let place = url.unwrap_or_else(|| "in the background".to_owned());
                    progress.say(format!("  ready   {label:<12} {:>6}  {place}", human(waited)));
                    self.ready_after.push((name, waited));
                    return Ok(());
                }
                Err(_) if waited < READY_WITHIN => {
                    progress.update(format!("  waiting {label:<12} {:>6}", human(waited)));
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(answer) => {
                    let tail = process::tail(&self.config.log(name), SHOWN_LINES).join("\n    ");
                    let url = url.unwrap_or_default();
                    bail!("{label} is not ready after {}: {url} says {answer}\n    {tail}", human(waited));
                }
            }
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for running in self.running.iter_mut().rev() {
            running.identity.signal(Signal::KILL);
            if let Some(child) = &mut running.child {
                let _ = child.wait();
            } else {
                let _ = process::wait_gone(&running.identity, Duration::from_secs(5));
            }
            let _ = fs::remove_file(self.config.pid_file(running.name));
        }
    }
}

/// The message about a program that has ended by itself.
#[must_use]
pub fn died(name: Name, ended: &str, log: &Path) -> String {
    let tail = process::tail(log, SHOWN_LINES).join("\n    ");
    let label = name.label();
    format!("{label} has ended ({ended}); the end of {}:\n    {tail}", log.display())
}

#[cfg(test)]
mod tests;
