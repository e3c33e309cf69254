//! Target addresses as the proxy protocols write them: a type byte, the address, and the port before or after it.

use std::net::IpAddr;

use hezar_core::{Host, Target};

/// The type bytes of the three kinds of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressTypes {
    ipv4: u8,
    name: u8,
    ipv6: u8,
}

/// RFC 1928 §5; also Shadowsocks and Trojan.
pub(crate) const SOCKS_TYPES: AddressTypes = AddressTypes { ipv4: 1, name: 3, ipv6: 4 };
impl AddressTypes {
    /// sing-box's UDP over TCP.
    pub(crate) const UDP_OVER_TCP: Self = Self { ipv4: 0, name: 2, ipv6: 1 };
}

/// VLESS and VMess.
pub(crate) const V2RAY_TYPES: AddressTypes = AddressTypes { ipv4: 1, name: 2, ipv6: 3 };

/// The longest address in bytes: type, length, 253 bytes of name, port.
pub(crate) const MAX_ADDRESS: usize = 1 + 1 + 253 + 2;

/// Appends type, address and port (RFC 1928 order).
pub(crate) fn put_socks(target: &Target, bytes: &mut Vec<u8>) {
    put(target, SOCKS_TYPES, bytes);
}

/// Appends port, type and address (VLESS and VMess order).
pub(crate) fn put_v2ray(target: &Target, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&target.port().to_be_bytes());
    put_host(target.host(), V2RAY_TYPES, bytes);
}

/// Appends type, address and port with the given types.
pub(crate) fn put(target: &Target, types: AddressTypes, bytes: &mut Vec<u8>) {
    put_host(target.host(), types, bytes);
    bytes.extend_from_slice(&target.port().to_be_bytes());
}

fn put_host(host: &Host, types: AddressTypes, bytes: &mut Vec<u8>) {
    match host {
        Host::Ip(IpAddr::V4(address)) => {
            bytes.push(types.ipv4);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            bytes.push(types.ipv6);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            // A DomainName is at most 253 bytes long, so the cast never cuts.
            let name = name.as_str().as_bytes();
            bytes.push(types.name);
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name);
        }
    }
}
