//! The proxy protocols, one folder each.
//!
//! Each exposes `build(settings, connector)`, which checks the settings once and returns the dialer. Those that inbounds speak have their
//! server's side in `server`, and mux.cool has nothing else.

mod address;
pub(crate) mod anytls;
pub(crate) mod http;
pub(crate) mod hysteria2;
mod mux_cool;
mod packet_addr;
mod packets;
pub(crate) mod shadowsocks;
pub(crate) mod socks;
mod stream_per_target;
pub(crate) mod trojan;
pub(crate) mod tuic;
mod uot;
pub(crate) mod vless;
pub(crate) mod vmess;
pub(crate) mod wireguard;
mod xudp;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod datagram_contract;
#[cfg(test)]
mod tests;
