//! The bytes of SOCKS4, SOCKS4a and SOCKS5 as a server sees them, without I/O.
//!
//! SOCKS5, RFC 1928 and RFC 1929 (client ► server unless marked ◄):
//! ```text
//! greeting   05 | n | method × n                      ◄ 05 | method            (FF = none fits)
//! login      01 | n | name × n | m | password × m     ◄ 01 | 00 = welcome
//! request    05 | command | 00 | type | address | port ◄ 05 | reply | 00 | type | address | port
//!            type 01: 4 bytes, 03: n + name, 04: 16 bytes
//! datagram   00 00 | fragment | type | address | port | payload      both ways, to and from the address of the reply
//! ```
//! SOCKS4 and 4a (the notes of NEC's `SOCKS4.protocol`; 4a: address 0.0.0.x, x ≠ 0, then the name):
//! ```text
//! request    04 | command | port | address | user × n | 00 [| name × n | 00]     ◄ 00 | code | port | address
//! ```
//! Every function reads from the beginning of what has arrived so far. It returns `Ok(None)` when it needs more bytes, else the
//! value and how many bytes it took. It never needs more than the format allows (SOCKS5) or [`MAX_TEXT`] bounds (SOCKS4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hezar_core::{Host, Target};

use crate::{
    Refusal,
    access::{Login, decode_login},
};

/// The longest user name and host name of SOCKS4.
pub(super) const MAX_TEXT: usize = 512;

/// No authentication.
pub(super) const METHOD_NONE: u8 = 0;
/// User name and password (RFC 1929).
pub(super) const METHOD_LOGIN: u8 = 2;
/// None of the methods offered fits.
pub(super) const METHOD_REFUSED: u8 = 0xff;

/// A value and the number of bytes that it took; `None` while it is incomplete.
pub(super) type Read<T> = Result<Option<(T, usize)>, Refusal>;

/// The methods that a greeting offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Methods {
    pub none: bool,
    pub login: bool,
}

/// The command of a request that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SocksCommand {
    /// A stream to a target.
    Connect(Target),
    /// An association; its datagrams come from this port of the client, or from a port that is not known yet (0).
    Associate { port: u16 },
}

/// A request. One that cannot be served is kept as an error, which is answered after the login.
#[derive(Debug)]
pub(super) struct SocksRequest {
    pub command: Result<SocksCommand, Refusal>,
    /// SOCKS4's user, if one was given.
    pub user: Option<Box<str>>,
}

/// The `length` bytes from `position` on; `None` while they are incomplete.
fn take(bytes: &[u8], position: usize, length: usize) -> Option<&[u8]> {
    bytes.get(position..position.checked_add(length)?)
}

/// The greeting of SOCKS5.
pub(super) fn greeting(bytes: &[u8]) -> Read<Methods> {
    let Some(&[version, count]) = bytes.first_chunk() else { return Ok(None) };
    if version != 5 {
        return Err(Refusal::BadSocks("unknown version"));
    }
    let Some(methods) = take(bytes, 2, count.into()) else { return Ok(None) };
    let offered = Methods { none: methods.contains(&METHOD_NONE), login: methods.contains(&METHOD_LOGIN) };
    Ok(Some((offered, 2 + methods.len())))
}

/// The name and password of RFC 1929, in every encoding that they may have: the RFC names none.
pub(super) fn login(bytes: &[u8]) -> Read<Vec<Login>> {
    let Some(&[version, length]) = bytes.first_chunk() else { return Ok(None) };
    if version != 1 {
        return Err(Refusal::BadSocks("unknown version of the login"));
    }
    let Some(name) = take(bytes, 2, length.into()) else { return Ok(None) };
    let after_name = 2 + name.len();
    let Some(&length) = bytes.get(after_name) else { return Ok(None) };
    let Some(password) = take(bytes, after_name + 1, length.into()) else { return Ok(None) };
    Ok(Some((decode_login(name, password), after_name + 1 + password.len())))
}

fn text(bytes: &[u8]) -> Result<Box<str>, Refusal> {
    std::str::from_utf8(bytes).map(Into::into).map_err(|_| Refusal::BadSocks("a text is not UTF-8"))
}

/// The request of SOCKS5.
pub(super) fn request(bytes: &[u8]) -> Read<SocksRequest> {
    let Some(&[version, command, _, kind]) = bytes.first_chunk() else { return Ok(None) };
    if version != 5 {
        return Err(Refusal::BadSocks("unknown version"));
    }
    let Some(((host, port), used)) = address5(kind, bytes, 4)? else { return Ok(None) };
    let wanted = match command {
        // The client's own view of its address is not used; the address that it connects from is.
        3 => Ok(SocksCommand::Associate { port }),
        command => require_connect(command, "UDP ASSOCIATE")
            .and_then(|()| host5(kind, host))
            .and_then(|host| target(host, port))
            .map(SocksCommand::Connect),
    };
    Ok(Some((SocksRequest { command: wanted, user: None }, used)))
}

/// The bytes of an address at `position`, its port, and where that ends.
fn address5(kind: u8, bytes: &[u8], position: usize) -> Read<(&[u8], u16)> {
    let host_length = match kind {
        1 => 4,
        4 => 16,
        3 => match bytes.get(position) {
            Some(length) => 1 + usize::from(*length),
            None => return Ok(None),
        },
        _ => return Err(Refusal::BadSocks("unknown address type")),
    };
    let Some(host) = take(bytes, position, host_length) else { return Ok(None) };
    let Some(&[high, low]) = take(bytes, position + host_length, 2) else { return Ok(None) };
    Ok(Some(((host, u16::from_be_bytes([high, low])), position + host_length + 2)))
}

/// Reads a client's datagram: its target and its payload.
///
/// # Errors
/// Why it is dropped: `fragment` (RFC 1928 §7 allows that) or `malformed`.
pub(super) fn datagram(bytes: &[u8]) -> Result<(Target, &[u8]), &'static str> {
    let Some(&[_, _, fragment, kind]) = bytes.first_chunk() else { return Err("malformed") };
    if fragment != 0 {
        return Err("fragment");
    }
    let Ok(Some(((host, port), used))) = address5(kind, bytes, 4) else { return Err("malformed") };
    let target = host5(kind, host).and_then(|host| target(host, port)).map_err(|_| "malformed")?;
    Ok((target, bytes.get(used..).unwrap_or_default()))
}

/// Puts the header of a datagram from `from` in front of its payload.
pub(super) fn put_datagram(from: &Target, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + 256 + 2 + payload.len());
    bytes.extend_from_slice(&[0, 0, 0]);
    put_host(from.host(), &mut bytes);
    bytes.extend_from_slice(&from.port().to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn put_host(host: &Host, bytes: &mut Vec<u8>) {
    match host {
        Host::Ip(IpAddr::V4(address)) => {
            bytes.push(1);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            bytes.push(4);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            // A DomainName is at most 253 bytes long, so the cast never cuts.
            let name = name.as_str().as_bytes();
            bytes.extend_from_slice(&[3, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(name);
        }
    }
}

/// Whether the command is CONNECT.
///
/// # Errors
/// [`Refusal::UnsupportedCommand`] with the name of the command; `three` is the name of command 3.
fn require_connect(command: u8, three: &'static str) -> Result<(), Refusal> {
    match command {
        1 => Ok(()),
        2 => Err(Refusal::UnsupportedCommand("BIND")),
        3 => Err(Refusal::UnsupportedCommand(three)),
        _ => Err(Refusal::UnsupportedCommand("(unknown)")),
    }
}

fn host5(kind: u8, bytes: &[u8]) -> Result<Host, Refusal> {
    match (kind, bytes) {
        (1, &[a, b, c, d]) => Ok(Host::Ip(Ipv4Addr::new(a, b, c, d).into())),
        (3, [_, name @ ..]) => host_name(name),
        (_, bytes) => {
            let octets: [u8; 16] = bytes.try_into().map_err(|_| Refusal::BadSocks("unknown address type"))?;
            Ok(Host::Ip(Ipv6Addr::from(octets).into()))
        }
    }
}

/// A host name; some clients send an address as text here.
fn host_name(bytes: &[u8]) -> Result<Host, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::BadSocks("the host name is not UTF-8"))?;
    Host::new(text).map_err(|_| Refusal::BadSocks("the host name is not valid"))
}

fn target(host: Host, port: u16) -> Result<Target, Refusal> {
    Target::new(host, port).map_err(|_| Refusal::BadSocks("the port is 0"))
}

/// The request of SOCKS4 or SOCKS4a.
pub(super) fn request4(bytes: &[u8]) -> Read<SocksRequest> {
    let Some(&[version, command, high, low, a, b, c, d]) = bytes.first_chunk() else { return Ok(None) };
    if version != 4 {
        return Err(Refusal::BadSocks("unknown version"));
    }
    let Some(user) = until_zero(&bytes[8..])? else { return Ok(None) };
    let mut used = 8 + user.len() + 1;
    let host = if a == 0 && b == 0 && c == 0 && d != 0 {
        let Some(name) = until_zero(&bytes[used..])? else { return Ok(None) };
        used += name.len() + 1;
        host_name(name)
    } else {
        Ok(Host::Ip(Ipv4Addr::new(a, b, c, d).into()))
    };
    let wanted = require_connect(command, "(unknown)")
        .and(host)
        .and_then(|host| target(host, u16::from_be_bytes([high, low])))
        .map(SocksCommand::Connect);
    let user = if user.is_empty() { None } else { Some(text(user)?) };
    Ok(Some((SocksRequest { command: wanted, user }, used)))
}

/// The bytes before the next zero; `None` while there is none.
fn until_zero(bytes: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let end = bytes.iter().take(MAX_TEXT + 1).position(|byte| *byte == 0);
    match end {
        Some(end) => Ok(Some(&bytes[..end])),
        None if bytes.len() > MAX_TEXT => Err(Refusal::BadSocks("a text is too long")),
        None => Ok(None),
    }
}

/// The answer to a SOCKS5 request. The bound address is unknown (it is the node's) and written as 0.0.0.0:0.
pub(super) const fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// The answer to a granted association: where its datagrams go.
pub(super) fn associated(at: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![5, 0, 0];
    put_host(&Host::Ip(at.ip().to_canonical()), &mut bytes);
    bytes.extend_from_slice(&at.port().to_be_bytes());
    bytes
}

/// The answer to a SOCKS4 request; 90 = granted.
pub(super) const fn reply4(code: u8) -> [u8; 8] {
    [0, code, 0, 0, 0, 0, 0, 0]
}
