//! A lock that the allocator's hooks can take, in the child of a fork too.
#![expect(unsafe_code, reason = "shares memory behind a POSIX mutex")]

use std::cell::UnsafeCell;
use std::sync::Once;

use crate::heap::tables::Tables;

/// The tables and their lock. POSIX's mutex, because only it can be unlocked by the handlers of a fork; it allocates nothing.
struct Shared {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    tables: UnsafeCell<Option<Tables>>,
}

// SAFETY: `tables` is touched by the holder of the mutex only, and the mutex is made for sharing.
unsafe impl Sync for Shared {}

static SHARED: Shared =
    Shared { mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER), tables: UnsafeCell::new(None) };

/// Unlocks, also while unwinding.
struct Held;

impl Held {
    fn new() -> Self {
        // SAFETY: a statically initialised mutex that is never destroyed or moved.
        let code = unsafe { libc::pthread_mutex_lock(SHARED.mutex.get()) };
        // A default mutex fails only if it was not initialised (POSIX, pthread_mutex_lock).
        debug_assert_eq!(code, 0);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: this thread holds the mutex.
        unsafe { libc::pthread_mutex_unlock(SHARED.mutex.get()) };
    }
}

/// Calls `f` with the tables, once they are there, while no other thread uses them. `f` must not allocate or free: the hooks
/// would wait for this very lock.
pub(crate) fn with<R>(f: impl FnOnce(&mut Option<Tables>) -> R) -> R {
    let _held = Held::new();
    // SAFETY: the mutex is held, and `with` does not nest, since `f` may not allocate.
    f(unsafe { &mut *SHARED.tables.get() })
}

/// Keeps the lock whole over forks: without it the child of a fork waits forever if another thread was in a hook just then.
pub(super) fn survive_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions that live forever. Failure (no memory) leaves forks as they were.
        unsafe { libc::pthread_atfork(Some(lock), Some(unlock), Some(unlock)) };
    });
}

extern "C" fn lock() {
    std::mem::forget(Held::new());
}

/// In the parent and in the child the forking thread is the one that locked.
extern "C" fn unlock() {
    drop(Held);
}
