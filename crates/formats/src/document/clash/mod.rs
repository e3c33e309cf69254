//! Clash and mihomo: the entries of `proxies`.

mod plugin;
mod rare;
pub(super) mod read;
mod stream;
pub(crate) mod write;
