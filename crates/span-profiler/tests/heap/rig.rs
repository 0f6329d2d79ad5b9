//! Processes of their own, and sums over profiles.

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use blazesym::Pid;
use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolizer};
use span_profiler::{Profile, Sample};

/// Every allocation is a sample.
pub(crate) const EXACT: &str = "lg_prof_sample:0";

/// Marks the process that runs a test's body.
const MARK: &str = "SPAN_PROFILER_TEST_CHILD";

/// Runs `body` in a new process with these settings of jemalloc added to those of the feature `heap-conf`. `test` is the
/// test's own path.
pub(crate) fn in_process(test: &str, conf: &str, body: impl FnOnce()) {
    #[expect(clippy::disallowed_methods, reason = "tells parent and child apart")]
    if std::env::var_os(MARK).is_some() {
        // A deadlock shall be a failure.
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(120));
            eprintln!("the test did not end");
            std::process::abort();
        });
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .env("_RJEM_MALLOC_CONF", conf)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}", output.status);
    assert!(!text.contains("<jemalloc>"), "{text}");
}

/// Objects and bytes allocated, objects and bytes in use.
pub(crate) fn sum(profile: &Profile, wanted: impl Fn(&Sample) -> bool) -> [i64; 4] {
    profile.samples.iter().filter(|sample| wanted(sample)).fold([0; 4], |mut sum, sample| {
        for (sum, value) in sum.iter_mut().zip(&sample.values) {
            *sum += value;
        }
        sum
    })
}

/// Names of functions by address, as the symbols of this program have them.
pub(crate) struct Names {
    symbolizer: Symbolizer,
    known: RefCell<HashMap<u64, String>>,
}

impl Default for Names {
    fn default() -> Self {
        let symbolizer = Symbolizer::builder().enable_code_info(false).enable_inlined_fns(false).build();
        Self { symbolizer, known: RefCell::default() }
    }
}

impl Names {
    /// Whether a stack passes through a function, which must not be inlined.
    pub(crate) fn passes(&self, stack: &[u64], function: &str) -> bool {
        stack.iter().any(|address| self.with(*address, |name| name.ends_with(function)))
    }

    /// Calls `f` with the name of the function that has this address.
    pub(crate) fn with<R>(&self, address: u64, f: impl FnOnce(&str) -> R) -> R {
        let mut known = self.known.borrow_mut();
        f(known.entry(address).or_insert_with(|| self.ask(address)))
    }

    fn ask(&self, address: u64) -> String {
        let program = Source::Process(Process::new(Pid::Slf));
        let symbol = self.symbolizer.symbolize_single(&program, Input::AbsAddr(address)).unwrap();
        symbol.as_sym().map(|symbol| symbol.name.to_string()).unwrap_or_default()
    }
}

/// As [`sum`], over the stacks that pass through a function.
pub(crate) fn sum_of(profile: &Profile, function: &str) -> [i64; 4] {
    let names = Names::default();
    sum(profile, |sample| names.passes(&sample.stack, function))
}

pub(crate) fn label<'a>(sample: &'a Sample, key: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(known, _)| *known == key).map(|(_, value)| &**value)
}
