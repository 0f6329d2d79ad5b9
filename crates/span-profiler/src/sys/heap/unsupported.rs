//! Every other system: the crate compiles and says that there is no heap profile.

use std::ffi::CStr;

use super::{CtlError, Facts, Probe};
use crate::heap::tables::{Limits, Tables};

/// Whether heap profiles can be taken here.
pub(crate) const SUPPORTED: bool = false;

const NONE: CtlError = CtlError { name: c"mallctl", code: 0 };

pub(crate) fn facts() -> Result<Facts, CtlError> {
    Err(NONE)
}

pub(crate) fn is_global() -> Result<bool, CtlError> {
    Err(NONE)
}

pub(crate) fn interval() -> Result<u64, CtlError> {
    Err(NONE)
}

pub(crate) fn set_active(_: bool) -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn purge() -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn refresh() -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn size(_: &'static CStr) -> Result<u64, CtlError> {
    Err(NONE)
}

pub(crate) fn number(_: &'static CStr) -> Result<u64, CtlError> {
    Err(NONE)
}

pub(crate) fn install(_: u64, _: Limits) -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn uninstall() -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn restore_backtrace() -> Result<(), CtlError> {
    Err(NONE)
}

pub(crate) fn probe(_: fn(u64), _: u64) -> Probe {
    Probe::Silent
}

pub(crate) fn tables<R>(f: impl FnOnce(Option<&mut Tables>) -> R) -> R {
    f(None)
}
