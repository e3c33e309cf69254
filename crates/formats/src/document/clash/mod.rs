//! Clash and mihomo: the entries of `proxies`.

mod plugin;
pub(super) mod read;
mod stream;
pub(crate) mod write;
