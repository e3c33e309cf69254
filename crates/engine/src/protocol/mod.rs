//! The proxy protocols, one folder each.
//!
//! Each exposes `build(settings, upstream)`, which checks the settings once and returns the dialer.

mod address;
pub(crate) mod aead;
pub(crate) mod anytls;
mod first_write;
pub(crate) mod headed;
pub(crate) mod http;
pub(crate) mod hysteria2;
mod inbox;
pub(crate) mod outbox;
mod packet_addr;
mod packets;
mod per_target;
pub(crate) mod sealed;
pub(crate) mod shadowsocks;
pub(crate) mod socks;
pub(crate) mod trojan;
pub(crate) mod tuic;
mod uot;
pub(crate) mod vless;
pub(crate) mod vmess;
pub(crate) mod wireguard;
mod xudp;

#[cfg(test)]
mod datagram_laws;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
