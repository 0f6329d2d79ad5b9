//! Whether this program was built with frame pointers.

use std::hint::black_box;

use super::walk::walk;

/// As deep as a chance would not go.
const DEPTH: usize = 8;

/// Whether the calls of a function of this crate to itself are found by frame pointers. A build sets them for all crates
/// or for none (`-C force-frame-pointers=yes`), apart from the standard library, which comes with them.
pub(crate) fn has_frame_pointers() -> bool {
    let mut stack = [0; 2 * DEPTH];
    let frames = call(DEPTH, &mut stack);
    let Some(calls) = stack[..frames].get(..DEPTH) else { return false };
    calls.iter().all(|address| *address == calls[0])
}

#[inline(never)]
fn call(depth: usize, stack: &mut [u64]) -> usize {
    let frames = if depth == 0 { walk(stack) } else { call(depth - 1, stack) };
    // Something must be left to do after the call, else it would become a jump.
    black_box(frames)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_build_has_them() {
        assert!(super::has_frame_pointers());
    }
}
