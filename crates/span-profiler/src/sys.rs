//! Everything that is not safe Rust.
