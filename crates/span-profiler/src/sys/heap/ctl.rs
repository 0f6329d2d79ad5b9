//! jemalloc's controls, `mallctl`.
#![expect(unsafe_code, reason = "calls jemalloc")]

use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::ptr;

use tikv_jemalloc_sys as jemalloc;

use super::{CtlError, Facts, hooks};

/// Whether heap profiles can be taken here.
pub(crate) const SUPPORTED: bool = true;

/// A type that a control has in C.
///
/// # Safety
/// Every bit pattern that jemalloc stores for such a control is a value of the type.
pub(super) unsafe trait Value: Copy + Default {}
// SAFETY: plain numbers.
unsafe impl Value for u64 {}
// SAFETY: `size_t`, a plain number.
unsafe impl Value for usize {}
// SAFETY: C's `bool`, which has Rust's representation.
unsafe impl Value for bool {}
// SAFETY: a nullable pointer to a function of this signature (`prof_hook.h`).
unsafe impl Value for Option<hooks::OnBacktrace> {}
// SAFETY: as above.
unsafe impl Value for Option<hooks::OnSample> {}
// SAFETY: as above.
unsafe impl Value for Option<hooks::OnFree> {}

pub(super) fn read<T: Value>(name: &'static CStr) -> Result<T, CtlError> {
    let mut value = T::default();
    let mut len = size_of::<T>();
    // SAFETY: `value` has room for `len` bytes; jemalloc writes that many if this is the size of the control's type and
    // answers EINVAL otherwise (`READ` in its src/ctl.c), so a wrong type shows as an error.
    let code = unsafe {
        jemalloc::mallctl(name.as_ptr(), ptr::from_mut(&mut value).cast::<c_void>(), &raw mut len, ptr::null_mut(), 0)
    };
    if code == 0 { Ok(value) } else { Err(CtlError { name, code }) }
}

pub(super) fn write<T: Value>(name: &'static CStr, mut value: T) -> Result<(), CtlError> {
    let new = ptr::from_mut(&mut value).cast::<c_void>();
    // SAFETY: jemalloc reads `size_of::<T>()` bytes of `value` after it compared that with the control's own size.
    let code = unsafe { jemalloc::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), new, size_of::<T>()) };
    if code == 0 { Ok(()) } else { Err(CtlError { name, code }) }
}

/// Calls a control that has no value.
fn call(name: &'static CStr) -> Result<(), CtlError> {
    // SAFETY: neither reads nor writes memory of ours.
    let code = unsafe { jemalloc::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    if code == 0 { Ok(()) } else { Err(CtlError { name, code }) }
}

/// Asks jemalloc.
pub(crate) fn facts() -> Result<Facts, CtlError> {
    let built = read::<bool>(c"config.prof")?;
    let enabled = built && read::<bool>(c"opt.prof")?;
    Ok(Facts {
        global: is_global()?,
        built,
        enabled,
        active: enabled && read::<bool>(c"prof.active")?,
        foreign: hooks::foreign()?,
        lg_interval: if enabled { read::<usize>(c"prof.lg_sample")? } else { 0 },
    })
}

/// Whether Rust's allocations of this thread are counted by jemalloc.
pub(crate) fn is_global() -> Result<bool, CtlError> {
    const BYTES: usize = 65_536;
    let before = read::<u64>(c"thread.allocated")?;
    drop(black_box(Vec::<u8>::with_capacity(BYTES)));
    Ok(read::<u64>(c"thread.allocated")?.wrapping_sub(before) >= BYTES as u64)
}

/// Bytes between two samples, on average.
pub(crate) fn interval() -> Result<u64, CtlError> {
    let lg = read::<usize>(c"prof.lg_sample")?;
    Ok(u32::try_from(lg).ok().and_then(|lg| 1_u64.checked_shl(lg)).unwrap_or(u64::MAX))
}

/// Starts or stops taking samples in all threads.
pub(crate) fn set_active(active: bool) -> Result<(), CtlError> {
    write(c"prof.active", active)
}

/// Gives unused memory back to the system.
pub(crate) fn purge() -> Result<(), CtlError> {
    // Refused where the program has switched these caches off (`tcache:false`); then there is nothing in them.
    let _ = call(c"thread.tcache.flush");
    // 4096 is MALLCTL_ARENAS_ALL (`jemalloc_macros.h`).
    call(c"arena.4096.purge")
}

/// Lets statistics be computed anew.
pub(crate) fn refresh() -> Result<(), CtlError> {
    write(c"epoch", 1_u64)
}

/// A statistic in bytes.
pub(crate) fn size(name: &'static CStr) -> Result<u64, CtlError> {
    read::<usize>(name).map(|bytes| bytes as u64)
}

/// A statistic that counts.
pub(crate) fn number(name: &'static CStr) -> Result<u64, CtlError> {
    read::<u64>(name)
}
