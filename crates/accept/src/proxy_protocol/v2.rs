//! Version 2 of the PROXY protocol: a binary header (proxy-protocol.txt, section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{HeaderError, MAX_PROXY_HEADER, ProxiedBy, ProxyHeader, agrees};

/// How every header begins.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of what follows.
const FIXED: usize = 16;

/// Whether the bytes may begin a header.
pub(super) fn begins(bytes: &[u8]) -> bool {
    agrees(bytes, SIGNATURE)
}

/// Reads the header at the front; `None` while it is not whole.
///
/// # Errors
/// [`HeaderError`].
pub(super) fn read(bytes: &[u8]) -> Result<Option<ProxyHeader>, HeaderError> {
    let Some(&[version, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else { return Ok(None) };
    if version >> 4 != 2 {
        return Err(HeaderError::Malformed("the version is not 2"));
    }
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PROXY_HEADER {
        return Err(HeaderError::TooLong);
    }
    let Some(body) = bytes.get(FIXED..length) else { return Ok(None) };
    let by = match version & 0x0f {
        0 => ProxiedBy::Proxy,
        1 => source(family, body)?,
        _ => return Err(HeaderError::Malformed("the command is not LOCAL or PROXY")),
    };
    Ok(Some(ProxyHeader { by, length }))
}

/// The source in the addresses; what follows them (TLVs) is left out.
fn source(family: u8, body: &[u8]) -> Result<ProxiedBy, HeaderError> {
    let short = HeaderError::Malformed("the addresses are too short");
    match family {
        // TCP over IPv4: source, destination, source port, destination port.
        0x11 => {
            let Some(&[a, b, c, d, _, _, _, _, high, low, _, _]) = body.get(..12) else { return Err(short) };
            let port = u16::from_be_bytes([high, low]);
            Ok(ProxiedBy::Client(SocketAddr::from((Ipv4Addr::new(a, b, c, d), port))))
        }
        // TCP over IPv6.
        0x21 => {
            let (Some(address), Some(&[high, low])) = (body.first_chunk::<16>(), body.get(32..34)) else {
                return Err(short);
            };
            if body.len() < 36 {
                return Err(short);
            }
            let port = u16::from_be_bytes([high, low]);
            Ok(ProxiedBy::Client(SocketAddr::from((Ipv6Addr::from(*address), port))))
        }
        // Unspecified, or a Unix socket: the client has no address on a network.
        0x00 | 0x31 | 0x32 => Ok(ProxiedBy::Proxy),
        // Datagrams do not come over a stream.
        _ => Err(HeaderError::Malformed("the protocol is not TCP")),
    }
}
