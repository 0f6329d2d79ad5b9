//! Threads that poll tasks or appear in an execution trace, by a small number.

use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "tasks")]
mod published;

#[cfg(feature = "tasks")]
pub(crate) use published::Published;

/// What is known of a thread.
#[derive(Debug)]
pub(crate) struct Thread {
    /// Its place in the table; another thread gets it afterwards.
    pub(crate) index: u32,
    /// The system's number, zero where that is not known.
    pub(crate) tid: i32,
    pub(crate) name: Arc<str>,
    /// The span that it is in, while it polls a task.
    #[cfg(feature = "tasks")]
    pub(crate) label: Published,
}

/// As many as there are living threads that came here.
static THREADS: Mutex<Vec<Option<Arc<Thread>>>> = Mutex::new(Vec::new());

/// Gives the place back when the thread ends.
struct Here(Arc<Thread>);

thread_local!(static HERE: Here = Here::new());

impl Here {
    fn new() -> Self {
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let free = threads.iter().position(Option::is_none).unwrap_or_else(|| {
            threads.push(None);
            threads.len() - 1
        });
        let tid = tid();
        let name = match std::thread::current().name() {
            Some(name) => Arc::from(name),
            None => Arc::from(format!("thread {tid}")),
        };
        let index = u32::try_from(free).unwrap_or(u32::MAX);
        let thread = Arc::new(Thread {
            index,
            tid,
            name,
            #[cfg(feature = "tasks")]
            label: Published::default(),
        });
        threads[free] = Some(Arc::clone(&thread));
        Self(thread)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = threads.get_mut(self.0.index as usize) {
            *place = None;
        }
    }
}

/// Calls `f` with this thread, unless it is about to end.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Arc<Thread>) -> R) -> Option<R> {
    HERE.try_with(|here| f(&here.0)).ok()
}

/// The thread that has the number now.
#[cfg(feature = "tasks")]
pub(crate) fn get(index: u32) -> Option<Arc<Thread>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner).get(index as usize)?.clone()
}

/// The last part of `<pid>/task/<tid>`, which saves a system call of our own in unsafe code.
fn tid() -> i32 {
    let link = std::fs::read_link("/proc/thread-self").ok();
    link.and_then(|link| link.file_name()?.to_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again() {
        let spawn = || {
            let thread = std::thread::Builder::new().name("threads-test".into());
            thread.spawn(|| with_current(Arc::clone).unwrap()).unwrap().join().unwrap()
        };
        let places: std::collections::HashSet<_> = (0..64).map(|_| spawn().index).collect();
        assert!(places.len() < 64, "64 threads one after another took as many places");
        let one = spawn();
        assert_eq!(&*one.name, "threads-test");
        assert!(!cfg!(target_os = "linux") || one.tid > 0);
    }
}
