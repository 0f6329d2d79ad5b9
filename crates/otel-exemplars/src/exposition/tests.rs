#[cfg(feature = "__foreign")]
mod foreign;
mod labels;
mod names;
mod negotiation;
mod numbers;
mod page;
#[cfg(feature = "__foreign")]
mod prometheus;
mod properties;
mod random;
mod reader;
mod rig;
#[cfg(feature = "__foreign")]
mod server;
mod sharing;
