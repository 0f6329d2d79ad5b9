//! The handler of SIGPROF. The module above states what it may do.
#![expect(unsafe_code, reason = "handles a signal")]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use super::walk::follow;
use crate::labels;
use crate::ring::RING;

/// CPU time between two signals in nanoseconds; zero while no profile is taken.
static PERIOD: AtomicU64 = AtomicU64::new(0);

/// Somebody else handles SIGPROF.
#[derive(Debug)]
pub(crate) struct Foreign;

/// The beginning of the kernel's `siginfo_t` for a timer's signal (`include/uapi/asm-generic/siginfo.h`).
#[repr(C)]
struct TimerInfo {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    timer: libc::c_int,
    overrun: libc::c_int,
}

/// Sets what a sample stands for; zero lets the handler return at once.
pub(crate) fn set_period(nanoseconds: u64) {
    PERIOD.store(nanoseconds, Ordering::SeqCst);
}

/// Installs the handler, for the life of the process, unless it is there.
///
/// # Errors
/// What the system says; [`Foreign`] inside of `Ok` when the signal is taken.
pub(crate) fn install() -> io::Result<Result<(), Foreign>> {
    let before = action(None)?;
    if is_ours(&before) {
        return Ok(Ok(()));
    }
    if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN {
        return Ok(Err(Foreign));
    }
    // SAFETY: all zeroes is a valid `sigaction`: no flags, an empty mask.
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = address();
    // On the alternate stack, which Rust gives to each of its threads: the thread's own may be nearly full.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    action(Some(&ours))?;
    Ok(Ok(()))
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == address()
}

fn address() -> usize {
    on_signal as *const () as usize
}

/// Reads the action of SIGPROF, and sets it.
fn action(new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::zeroed();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or valid, `old` is a valid place; the handler keeps the protocol of the module above.
    if unsafe { libc::sigaction(libc::SIGPROF, new, old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written it, and all zeroes were valid before.
    Ok(unsafe { old.assume_init() })
}

extern "C" fn on_signal(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let period = PERIOD.load(Ordering::Relaxed);
    if period == 0 {
        return;
    }
    // SAFETY: with SA_SIGINFO the kernel passes a valid `siginfo_t`, which begins with these fields.
    let info = unsafe { &*info.cast::<TimerInfo>() };
    if info.code != libc::SI_TIMER {
        return;
    }
    // SAFETY: the location of errno is always valid, and belongs to this thread.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: with SA_SIGINFO the kernel passes a valid `ucontext_t`.
    let (pc, fp, sp) = registers(unsafe { &*context.cast::<libc::ucontext_t>() });
    // Expiries between two ticks of the kernel's clock come as one signal.
    let expiries = 1_u64.saturating_add(u64::try_from(info.overrun).unwrap_or(0));
    RING.push(expiries, period, labels::current(), |frames| {
        frames.add(pc as u64);
        if !follow(fp, sp, usize::MAX, |address| frames.add(address)) {
            frames.truncate();
        }
    });
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Instruction, frame and stack pointer of the interrupted code.
#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> (usize, usize, usize) {
    let register = |index: libc::c_int| {
        let registers = &context.uc_mcontext.gregs;
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "registers are 64 bits of anything"
        )]
        usize::try_from(index).ok().and_then(|index| registers.get(index)).map_or(0, |value| *value as usize)
    };
    (register(libc::REG_RIP), register(libc::REG_RBP), register(libc::REG_RSP))
}

/// Instruction, frame and stack pointer of the interrupted code.
#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> (usize, usize, usize) {
    let machine = &context.uc_mcontext;
    #[expect(clippy::cast_possible_truncation, reason = "registers are as wide as pointers")]
    (machine.pc as usize, machine.regs[29] as usize, machine.sp as usize)
}
