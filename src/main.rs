//! The program `phaselab`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use phaselab::cli;
use phaselab::error::EXIT_FAILED;

/// Heap profiles are made from its samples.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // The profiler then sees each thread from its first instruction on.
    builder.enable_all().on_thread_start(span_profiler::thread_started);
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    runtime.block_on(cli::run(cli))
}
