//! The hooks themselves.
#![expect(unsafe_code, reason = "is called by jemalloc")]

use std::cell::Cell;
use std::ffi::{c_uint, c_void};
use std::ops::Range;
use std::sync::Mutex;

use super::ctl::{read, write};
use super::{CtlError, Probe, lock};
use crate::heap::tables::{Limits, MAX_FRAMES, Names, Tables};
use crate::labels;
use crate::profile::Profile;
use crate::sys::walk;

/// `prof_backtrace_hook_t`: where return addresses go, how many went, how many fit.
pub(super) type OnBacktrace = unsafe extern "C" fn(*mut *mut c_void, *mut c_uint, c_uint);
/// `prof_sample_hook_t`: pointer, requested size, return addresses, their number, size class.
pub(super) type OnSample = unsafe extern "C" fn(*const c_void, usize, *mut *mut c_void, c_uint, usize);
/// `prof_sample_free_hook_t`: pointer, size class.
pub(super) type OnFree = unsafe extern "C" fn(*const c_void, usize);

/// Set on the probing thread only.
#[derive(Clone, Copy)]
struct Probing {
    from: u64,
    to: u64,
    seen: Probe,
}

thread_local! {
    // Initialised at compile time and without a destructor, so that hooks can use it at any time in a thread's life.
    static PROBING: Cell<Option<Probing>> = const { Cell::new(None) };
}

/// jemalloc's own walk, while ours is installed.
static REPLACED: Mutex<Option<OnBacktrace>> = Mutex::new(None);

/// Walks frame pointers: about a tenth of what jemalloc's own walk by unwind tables takes.
#[expect(clippy::cast_possible_truncation, reason = "addresses are as wide as pointers, frames end at 128")]
unsafe extern "C" fn on_backtrace(addresses: *mut *mut c_void, len: *mut c_uint, max: c_uint) {
    // SAFETY: the location of errno is always valid. The walk may make system calls that fail.
    let errno = unsafe { *libc::__errno_location() };
    let mut stack = [0; MAX_FRAMES];
    let frames = walk(&mut stack).min(max as usize);
    for (index, address) in stack.iter().take(frames).enumerate() {
        // As return addresses, which is what others expect who read jemalloc's own dumps.
        let address = std::ptr::without_provenance_mut(*address as usize + 1);
        // SAFETY: jemalloc gives room for `max` addresses (`prof_backtrace` in its src/prof_sys.c).
        unsafe { addresses.add(index).write(address) };
    }
    // SAFETY: points to the length of jemalloc's own record.
    unsafe { len.write(frames as c_uint) };
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

unsafe extern "C" fn on_sample(
    pointer: *const c_void,
    _requested: usize,
    addresses: *mut *mut c_void,
    len: c_uint,
    size: usize,
) {
    let mut stack = [0; MAX_FRAMES + 1];
    let frames = (len as usize).min(MAX_FRAMES);
    for (index, place) in stack.iter_mut().take(frames).enumerate() {
        // SAFETY: jemalloc gives `len` addresses, which live as long as the object (`gctx->bt` in its src/prof.c).
        let return_address = unsafe { addresses.add(index).read() };
        *place = (return_address.addr() as u64).saturating_sub(1);
    }
    // Who filled the buffer to its end was probably not done.
    let truncated = usize::from(frames == MAX_FRAMES);
    stack[frames] = Profile::TRUNCATED;
    let stack = &stack[..frames + truncated];

    if let Some(probing) = PROBING.get() {
        let at = stack.iter().position(|address| (probing.from..probing.to).contains(address));
        let seen = if at.is_some_and(|at| at + 1 < stack.len()) { Probe::Seen } else { Probe::Blind };
        PROBING.set(Some(Probing { seen, ..probing }));
        return;
    }
    let names = labels::current().map(|label| Names { leaf: label.name, root: label.root_name }).unwrap_or_default();
    lock::with(|tables| {
        if let Some(tables) = tables {
            tables.sample(pointer.addr() as u64, size as u64, stack, names);
        }
    });
}

unsafe extern "C" fn on_free(pointer: *const c_void, size: usize) {
    if PROBING.get().is_some() {
        return;
    }
    lock::with(|tables| {
        if let Some(tables) = tables {
            tables.free(pointer.addr() as u64, size as u64);
        }
    });
}

/// Calls `f` with the tables, once they are there. `f` must not allocate or free.
pub(crate) fn tables<R>(f: impl FnOnce(Option<&mut Tables>) -> R) -> R {
    lock::with(|tables| f(tables.as_mut()))
}

const ON_BACKTRACE: &std::ffi::CStr = c"experimental.hooks.prof_backtrace";
const ON_SAMPLE: &std::ffi::CStr = c"experimental.hooks.prof_sample";
const ON_FREE: &std::ffi::CStr = c"experimental.hooks.prof_sample_free";

fn is_ours() -> Result<bool, CtlError> {
    let hook = read::<Option<OnSample>>(ON_SAMPLE)?;
    Ok(hook.is_some_and(|hook| hook as usize == on_sample as *const () as usize))
}

/// Whether somebody else uses the hooks.
pub(super) fn foreign() -> Result<bool, CtlError> {
    let sample = read::<Option<OnSample>>(ON_SAMPLE)?.is_some();
    let free = read::<Option<OnFree>>(ON_FREE)?.is_some();
    Ok((sample || free) && !is_ours()?)
}

/// Installs the hooks with new tables, or keeps both if they are installed.
pub(crate) fn install(interval: u64, limits: Limits) -> Result<(), CtlError> {
    if is_ours()? {
        return Ok(());
    }
    lock::survive_forks();
    // Allocated before and freed after the lock is held.
    let mut fresh = Some(Tables::new(interval, limits));
    lock::with(|tables| std::mem::swap(tables, &mut fresh));
    drop(fresh);
    // First the frees: no sample may be missed when it goes.
    write(ON_FREE, Some(on_free as OnFree))?;
    write(ON_SAMPLE, Some(on_sample as OnSample))?;
    let replaced = read::<Option<OnBacktrace>>(ON_BACKTRACE)?;
    write(ON_BACKTRACE, Some(on_backtrace as OnBacktrace))?;
    *replaced_hook() = replaced;
    Ok(())
}

/// Gives jemalloc its own walk back.
pub(crate) fn restore_backtrace() -> Result<(), CtlError> {
    let replaced = replaced_hook().take();
    replaced.map_or(Ok(()), |hook| write(ON_BACKTRACE, Some(hook)))
}

/// Takes all hooks away.
pub(crate) fn uninstall() -> Result<(), CtlError> {
    restore_backtrace()?;
    write(ON_SAMPLE, None::<OnSample>)?;
    write(ON_FREE, None::<OnFree>)
}

fn replaced_hook() -> std::sync::MutexGuard<'static, Option<OnBacktrace>> {
    REPLACED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Calls `allocate`, which makes and frees an object that is surely sampled, and says what the hooks saw of it. Nothing of it
/// gets into the tables.
pub(crate) fn probe(allocate: fn(u64), size: u64) -> Probe {
    // Called by its address, or the compiler puts its code elsewhere.
    let allocate = std::hint::black_box(allocate);
    let code = code_of(allocate);
    PROBING.set(Some(Probing { from: code.start, to: code.end, seen: Probe::Silent }));
    allocate(size);
    PROBING.take().map_or(Probe::Silent, |probing| probing.seen)
}

/// Where the code of a small function is, generously.
fn code_of(function: fn(u64)) -> Range<u64> {
    const BYTES: u64 = 4_096;
    let from = function as *const () as u64;
    from..from + BYTES
}

#[cfg(test)]
pub(super) fn write_backtrace(hook: OnBacktrace) -> Result<(), CtlError> {
    write(ON_BACKTRACE, Some(hook))
}

/// A hook of somebody else.
#[cfg(test)]
pub(super) fn write_foreign(there: bool) -> Result<(), CtlError> {
    unsafe extern "C" fn theirs(_: *const c_void, _: usize) {}
    write(ON_FREE, there.then_some(theirs as OnFree))
}
