//! `phaselab ramp`: one ramp in a process of its own, with an execution trace of all its workers.

use std::convert::Infallible;
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use span_profiler::execution::Recording;

use super::interrupt::interrupted;
use crate::error::{EXIT_FAILED, chain};
use crate::load::view::Clear;
use crate::workload::scenarios::ramp::{self, Meter, Plan, TICK};
use crate::workload::scenarios::{Cancel, Parameter};

/// Ticks between two lines where there is no terminal.
const TICKS_PER_LINE: u32 = 10;

/// Adds workers at a steady rate, takes them away again, and writes an execution trace for ui.perfetto.dev.
///
/// To see a ramp in metrics, start it in the service: phaselab scenario start ramp. Exits with 0 when it went up and
/// down, 1 when it was interrupted or the file could not be written, 64 for bad arguments.
#[derive(Debug, Clone, Args)]
pub struct RampArgs {
    /// Workers at the peak, up to 10000.
    #[arg(long, default_value = "100", value_parser = |text: &str| bounded(&ramp::WORKERS, text))]
    workers: u64,
    /// Time up and down together, from 1s to 1h.
    #[arg(long, default_value = "1m", value_parser = |text: &str| bounded(&ramp::DURATION, text))]
    duration: u64,
    /// Where the trace goes.
    #[arg(long, short, value_name = "FILE", default_value = "ramp.pftrace")]
    output: PathBuf,
}

fn bounded(parameter: &Parameter, text: &str) -> Result<u64, String> {
    parameter.parse(text).ok_or_else(|| format!("write {}", parameter.bound()))
}

/// Runs the command.
pub async fn run(args: RampArgs) -> ExitCode {
    match args.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("phaselab ramp: {why}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

impl RampArgs {
    async fn run(&self) -> Result<(), String> {
        let path = self.output.display();
        let failed = |error: std::io::Error| format!("cannot write {path}: {error}");
        // Before the ramp, so that nobody waits for a trace that cannot be kept.
        let mut file = File::create(&self.output).map_err(failed)?;
        let recording = Recording::start().map_err(|busy| chain(&busy))?;
        let plan = Plan { workers: self.workers, duration: Duration::from_millis(self.duration) };
        let meter = Arc::new(Meter::default());
        let whole = climb(plan, &meter).await;
        let trace = recording.finish();
        file.write_all(&trace.to_perfetto()).map_err(failed)?;
        println!("{} workers were started, {} are left", meter.created(), meter.current());
        println!("{path}: {} events in {:.1} s, for ui.perfetto.dev", trace.events(), trace.duration().as_secs_f64());
        if trace.lost() > 0 {
            println!(
                "note: {} further events found no room: ramp with fewer workers or for a shorter time",
                trace.lost()
            );
        }
        if whole { Ok(()) } else { Err("interrupted".to_owned()) }
    }
}

/// Goes up and down, and shows it; false when it was interrupted, after all workers have ended.
async fn climb(plan: Plan, meter: &Arc<Meter>) -> bool {
    let (canceller, cancel) = Cancel::pair();
    let ramp = ramp::run(plan, meter, cancel);
    tokio::pin!(ramp);
    tokio::select! {
        () = &mut ramp => return true,
        never = show(plan, meter) => match never {},
        _ = interrupted() => canceller.cancel(),
    }
    ramp.await;
    false
}

/// Shows target, current and phase: a bar on a terminal, else a line per second.
async fn show(plan: Plan, meter: &Meter) -> Infallible {
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(Some(plan.workers), ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::with_template("{bar:30} {msg}").expect("the template is one of the library's form"),
        );
        Clear(bar)
    });
    let mut ticks = tokio::time::interval(TICK);
    for tick in 0_u32.. {
        ticks.tick().await;
        match &bar {
            Some(Clear(bar)) => {
                bar.set_position(meter.current().unsigned_abs());
                bar.set_message(line(meter));
            }
            None if tick % TICKS_PER_LINE == 0 => println!("{}", line(meter)),
            None => {}
        }
    }
    // After 13 years of ticks.
    std::future::pending().await
}

fn line(meter: &Meter) -> String {
    let phase = meter.phase().map_or("starting", ramp::Phase::name);
    format!("target {:>5}  current {:>5}  {phase}", meter.target(), meter.current())
}
