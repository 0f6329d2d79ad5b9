//! Heap profiles of a program whose allocator is jemalloc.
//!
//! Each test runs in a process of its own, because jemalloc reads its configuration once and the tables live as long as
//! the process. Most set the interval to one byte: then each allocation is a sample and every number is exact.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that cannot go on has failed")]

mod dump;
mod limits;
mod process;
mod rig;
mod spans;
mod threads;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
