//! Following frame pointers, without ever reading memory that is not there.
//!
//! Both architectures keep the caller's frame pointer at `[fp]` and the return address at `[fp + 8]` (System V ABI for x86-64,
//! section 3.2.2; AAPCS64, section 6.4.6). Code without frame pointers leaves any value in the register, so nothing is trusted:
//! a frame must lie above the one before, at most [`MAX_FRAME`] away, and inside of the stack. Where the stack's bounds
//! are not known (a thread of somebody else, a coroutine, the alternate signal stack) each new page is probed first.
#![expect(unsafe_code, reason = "reads stacks")]

use std::arch::asm;

use super::thread::{Bounds, bounds};
use crate::profile::Profile;

/// The largest distance between two frames that is believed, in bytes: above what functions keep on a stack, below
/// the distance between a stack and what lies beside it.
const MAX_FRAME: usize = 1 << 20;

/// Unit of memory protection; larger pages only make a probe superfluous.
const PAGE: usize = 4_096;

/// Two words at the frame pointer: the next frame and the return address.
const RECORD: usize = 16;

/// On aarch64 a return address may be signed in its upper bits (pointer authentication); user space has 48 bits unless
/// a program asks for more (`Documentation/arch/arm64/memory.rst`).
const ADDRESS_BITS: usize = if cfg!(target_arch = "aarch64") { (1 << 48) - 1 } else { usize::MAX };

/// The frame pointer of the function that this is inlined into.
#[inline(always)]
pub(crate) fn frame_address() -> usize {
    let fp: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: copies a register, touches neither memory nor flags.
    unsafe {
        asm!("mov {}, rbp", out(reg) fp, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: copies a register, touches neither memory nor flags.
    unsafe {
        asm!("mov {}, x29", out(reg) fp, options(nomem, nostack, preserves_flags));
    }
    fp
}

/// Callers of the function that this is inlined into, the nearest first, as in [`crate::Sample::stack`]; returns how many.
/// Async-signal-safe.
#[inline(always)]
pub(crate) fn walk(stack: &mut [u64]) -> usize {
    walk_below(usize::MAX, stack)
}

/// Like [`walk`], but only as far as frames whose address is below `limit`, a [`frame_address`] of an outer function:
/// the last address is that of its call.
#[inline(always)]
pub(crate) fn walk_below(limit: usize, stack: &mut [u64]) -> usize {
    let fp = frame_address();
    let mut depth = 0;
    follow(fp, fp, limit, |address| {
        let Some(place) = stack.get_mut(depth) else { return false };
        *place = address;
        depth += 1;
        true
    });
    depth
}

/// Follows the chain from `fp`, where `sp` is the stack pointer of that moment, below `limit`; `emit` gets the address of
/// each call and says whether it wants more. Returns false if it wanted no more.
pub(super) fn follow(mut fp: usize, sp: usize, limit: usize, mut emit: impl FnMut(u64) -> bool) -> bool {
    let known = bounds().filter(|bounds| bounds.contains(sp));
    let mut low = sp;
    let mut readable = Readable { known, page: None };
    while fp >= low && fp - low <= MAX_FRAME && fp.is_multiple_of(8) && fp < limit && readable.check(fp) {
        // SAFETY: 16 readable bytes at an aligned address, as just checked; the bytes may be anything. The stack of this
        // thread stays mapped while it runs this. Where its bounds are not known and code without frame pointers has left
        // an address in the register, this may be other memory within MAX_FRAME above the stack pointer: it was
        // readable an instant ago, and nobody can do better than ask.
        let [next, return_address] = unsafe { (fp as *const [usize; 2]).read_volatile() };
        // The call is before the instruction that it returns to. No code lies in the first page.
        let Some(address) =
            (return_address & ADDRESS_BITS).checked_sub(1).filter(|address| *address as u64 >= Profile::FIRST_ADDRESS)
        else {
            break;
        };
        if !emit(address as u64) {
            return false;
        }
        low = fp + RECORD;
        fp = next;
    }
    true
}

/// Says of frame records whether they can be read.
struct Readable {
    known: Option<Bounds>,
    /// The page that was found readable last.
    page: Option<usize>,
}

impl Readable {
    fn check(&mut self, fp: usize) -> bool {
        let Some(last) = fp.checked_add(RECORD - 1) else { return false };
        if let Some(bounds) = self.known {
            return bounds.contains(fp) && bounds.contains(last);
        }
        [fp, last].into_iter().all(|address| {
            let page = address & !(PAGE - 1);
            let readable = self.page == Some(page) || probe(page);
            self.page = readable.then_some(page);
            readable
        })
    }
}

/// Whether the first word of a page can be read, by letting the kernel read it: `rt_sigprocmask` copies the set in before it
/// refuses a `how` that does not exist, so nothing changes and the error tells (EFAULT or EINVAL). Unlike a pipe or
/// `process_vm_readv` it needs no descriptor and no permission.
fn probe(page: usize) -> bool {
    const NO_SUCH_HOW: libc::c_long = -1;
    const SET_BYTES: libc::c_long = 8;
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call only reads, and the kernel checks the address; errno is kept by the caller in a signal handler.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NO_SUCH_HOW, page, null, SET_BYTES) };
    // SAFETY: the location of errno is always valid.
    result == -1 && unsafe { *libc::__errno_location() } == libc::EINVAL
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[inline(never)]
    fn nested(depth: usize, stack: &mut [u64]) -> usize {
        let frames = if depth == 0 { walk(stack) } else { nested(depth - 1, stack) };
        black_box(frames)
    }

    #[test]
    fn callers_are_found_in_order() {
        let mut stack = [0; 64];
        let frames = nested(10, &mut stack);
        assert!(frames > 12, "{frames}");
        let recursion = &stack[..10];
        assert!(recursion.iter().all(|address| *address == recursion[0]), "{recursion:x?}");
        assert_ne!(stack[10], stack[0]);
    }

    #[test]
    fn a_full_buffer_ends_the_walk() {
        assert_eq!(nested(10, &mut [0; 4]), 4);
        assert_eq!(nested(10, &mut []), 0);
    }

    #[inline(never)]
    fn bounded(limit: usize, stack: &mut [u64]) -> usize {
        black_box(walk_below(limit, stack))
    }

    #[test]
    fn a_limit_ends_the_walk_with_the_call_in_that_function() {
        let mut stack = [0; 64];
        assert_eq!(bounded(frame_address(), &mut stack), 1);
    }

    #[test]
    fn unmapped_memory_is_not_readable() {
        let word = 0_u64;
        let page = std::ptr::from_ref(&word) as usize & !(PAGE - 1);
        assert!(probe(page));
        assert!(!probe(0));
        assert!(!probe(PAGE));
        assert!(!probe(usize::MAX & !(PAGE - 1)));
        assert!(!probe(0xffff_8000_0000_0000));
    }

    #[test]
    fn a_chain_that_leads_nowhere_ends() {
        // Not on any stack, so every page is probed; the chain points to the word after itself, then to nothing.
        let mut memory = vec![0_usize; 64];
        let at = memory.as_ptr() as usize;
        (memory[0], memory[1]) = (at + 32, 0x1234_5678);
        (memory[4], memory[5]) = (at + 0x8000_0000, 0x8765_4321);
        let mut seen = Vec::new();
        assert!(follow(at, at, usize::MAX, |address| {
            seen.push(address);
            true
        }));
        assert_eq!(seen, [0x1234_5677, 0x8765_4320]);
        for wild in [0, 1, at + 1, usize::MAX - 7, usize::MAX, 0xdead_beef_0000] {
            assert!(follow(wild, wild & !7, usize::MAX, |_| true));
        }
    }
}
