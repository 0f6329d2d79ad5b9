//! jemalloc's controls, `mallctl`.
#![expect(unsafe_code, reason = "calls jemalloc")]

use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::ptr;

use tikv_jemalloc_sys as jemalloc;

use super::{Counts, CtlError, Facts, hooks};

/// Whether heap profiles can be taken here.
pub(crate) const SUPPORTED: bool = true;

/// A type that a control has in C.
///
/// # Safety
/// Every bit pattern that jemalloc stores for such a control is a value of the type.
pub(super) unsafe trait Value: Copy + Default {}
// SAFETY: plain numbers.
unsafe impl Value for u64 {}
// SAFETY: C's `unsigned`, a plain number.
unsafe impl Value for u32 {}
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

/// The controls of one kind of classes, named for the first class. 4096 is `MALLCTL_ARENAS_ALL`.
struct Classes {
    number: &'static CStr,
    size: &'static CStr,
    requests: &'static CStr,
    mallocs: &'static CStr,
    frees: &'static CStr,
}

/// Small objects, and large ones.
const CLASSES: [Classes; 2] = [
    Classes {
        number: c"arenas.nbins",
        size: c"arenas.bin.0.size",
        requests: c"stats.arenas.4096.bins.0.nrequests",
        mallocs: c"stats.arenas.4096.bins.0.nmalloc",
        frees: c"stats.arenas.4096.bins.0.ndalloc",
    },
    Classes {
        number: c"arenas.nlextents",
        size: c"arenas.lextent.0.size",
        requests: c"stats.arenas.4096.lextents.0.nrequests",
        mallocs: c"stats.arenas.4096.lextents.0.nmalloc",
        frees: c"stats.arenas.4096.lextents.0.ndalloc",
    },
];

/// Sums all classes of sizes up: some 230 of them.
pub(crate) fn counts() -> Result<Counts, CtlError> {
    let mut counts = Counts::default();
    for classes in CLASSES {
        let size = Node::new(classes.size)?;
        let [requests, mallocs, frees] = [classes.requests, classes.mallocs, classes.frees].map(Node::new);
        let (requests, mallocs, frees) = (requests?, mallocs?, frees?);
        for class in 0..read::<u32>(classes.number)? as usize {
            counts.bytes += size.read::<usize>(class)? as u64 * requests.read::<u64>(class)?;
            counts.mallocs += mallocs.read::<u64>(class)?;
            counts.frees += frees.read::<u64>(class)?;
        }
    }
    counts.purges = read::<u64>(c"stats.arenas.4096.dirty_npurge")? + read::<u64>(c"stats.arenas.4096.muzzy_npurge")?;
    Ok(counts)
}

/// A control that exists for each class, looked up once. The class is the last part of its name but one.
struct Node {
    name: &'static CStr,
    path: [usize; Self::DEPTH],
    depth: usize,
}

impl Node {
    /// No control of jemalloc lies deeper (`CTL_MAX_DEPTH` in its src/ctl.c).
    const DEPTH: usize = 7;

    fn new(name: &'static CStr) -> Result<Self, CtlError> {
        let mut node = Self { name, path: [0; Self::DEPTH], depth: Self::DEPTH };
        // SAFETY: `path` has room for `depth` numbers; jemalloc writes at most that many, and how many into `depth`.
        let code = unsafe {
            jemalloc::mallctlnametomib(name.as_ptr(), node.path.as_mut_ptr(), ptr::from_mut(&mut node.depth))
        };
        if code == 0 && node.depth >= 2 { Ok(node) } else { Err(CtlError { name, code }) }
    }

    fn read<T: Value>(&self, class: usize) -> Result<T, CtlError> {
        let mut path = self.path;
        path[self.depth - 2] = class;
        let mut value = T::default();
        let mut len = size_of::<T>();
        let old = ptr::from_mut(&mut value).cast::<c_void>();
        // SAFETY: `path` holds `depth` numbers that are only read, and a class that does not exist is an error; for `value`
        // holds what is said in `read`.
        let code = unsafe { jemalloc::mallctlbymib(path.as_ptr(), self.depth, old, &raw mut len, ptr::null_mut(), 0) };
        if code == 0 { Ok(value) } else { Err(CtlError { name: self.name, code }) }
    }
}
