//! Target addresses as the proxy protocols write them: a type byte, the address, and the port before or after it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hezar_core::{Host, Target};

use crate::Cause;

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
    /// v2fly's `packetaddr`, which cannot write names.
    pub(crate) const PACKET_ADDR: Self = Self { ipv4: 1, name: 3, ipv6: 2 };
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

/// An address that was read, and its length in bytes; the address is `None` where it cannot be a target (port 0 or an invalid
/// name).
pub(crate) type Read = (Option<Target>, usize);

/// Reads type, address and port (RFC 1928 order) from the front of `bytes`; `None` while they are incomplete.
///
/// # Errors
/// [`Cause::Protocol`] for an unknown type.
pub(crate) fn take_socks(bytes: &[u8]) -> Result<Option<Read>, Cause> {
    take(bytes, SOCKS_TYPES)
}

/// Reads type, address and port with the given type bytes.
///
/// # Errors
/// [`Cause::Protocol`] for an unknown type.
pub(crate) fn take(bytes: &[u8], types: AddressTypes) -> Result<Option<Read>, Cause> {
    let Some((host, length)) = take_host(bytes, types)? else { return Ok(None) };
    let Some(port) = bytes.get(length..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    Ok(Some((target(host, *port), length + 2)))
}

/// Reads port, type and address (VLESS and VMess order) from the front of `bytes`; `None` while they are incomplete.
///
/// # Errors
/// [`Cause::Protocol`] for an unknown type.
pub(crate) fn take_v2ray(bytes: &[u8]) -> Result<Option<Read>, Cause> {
    let Some((port, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let Some((host, length)) = take_host(rest, V2RAY_TYPES)? else { return Ok(None) };
    Ok(Some((target(host, *port), 2 + length)))
}

fn target(host: Option<Host>, port: [u8; 2]) -> Option<Target> {
    Target::new(host?, u16::from_be_bytes(port)).ok()
}

fn take_host(bytes: &[u8], types: AddressTypes) -> Result<Option<(Option<Host>, usize)>, Cause> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    if kind == types.ipv4 {
        return Ok(rest.first_chunk::<4>().map(|octets| (Some(Host::Ip(Ipv4Addr::from(*octets).into())), 5)));
    }
    if kind == types.ipv6 {
        return Ok(rest.first_chunk::<16>().map(|octets| (Some(Host::Ip(Ipv6Addr::from(*octets).into())), 17)));
    }
    if kind != types.name {
        return Err(Cause::Protocol("an address of an unknown type"));
    }
    let Some((&length, rest)) = rest.split_first() else { return Ok(None) };
    let Some(name) = rest.get(..usize::from(length)) else { return Ok(None) };
    let host = std::str::from_utf8(name).ok().and_then(|name| Host::new(name).ok());
    Ok(Some((host, 2 + name.len())))
}

/// Whether a datagram from `from` can come from `server`. For a server that is known by name only the port is compared.
pub(crate) fn may_be(server: &Target, from: &Target) -> bool {
    let host = match (server.host(), from.host()) {
        (Host::Ip(ours), Host::Ip(theirs)) => ours.to_canonical() == theirs.to_canonical(),
        (Host::Name(_), _) | (_, Host::Name(_)) => true,
    };
    host && server.port() == from.port()
}
