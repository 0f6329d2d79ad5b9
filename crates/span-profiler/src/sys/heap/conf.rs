//! The configuration that jemalloc reads before `main`.
#![expect(unsafe_code, reason = "exports a symbol")]

use std::ffi::c_char;

/// The text behind the exported pointer.
static TEXT: &std::ffi::CStr = crate::heap::MALLOC_CONF;

/// A pointer that may be in a static.
#[repr(transparent)]
pub(crate) struct Configuration(*const c_char);

// SAFETY: points to immutable memory that lives as long as the program.
unsafe impl Sync for Configuration {}

/// jemalloc defines this symbol weakly, as a pointer to nothing, and reads it at its first allocation (`malloc_conf` in its
/// manual; the prefix is that of tikv-jemalloc-sys).
// SAFETY: the name is meant to be defined by programs, as `const char *`; a second definition fails to link.
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub(crate) static CONFIGURATION: Configuration = Configuration(TEXT.as_ptr());
