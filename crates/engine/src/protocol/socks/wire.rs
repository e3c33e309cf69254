//! The bytes of SOCKS, without I/O.
//!
//! ```text
//! SOCKS4 (the 1992 memo), 4a:
//!   → 04 01 port(2) ipv4(4) user 00            4a: ipv4 = 0.0.0.1, and after the user: name 00
//!   ← 00 code port(2) ipv4(4)                  code 90 = granted
//! SOCKS5 (RFC 1928), user and password (RFC 1929):
//!   → 05 count methods(count)                  ← 05 method (ff = none of them)
//!   → 01 length user length password           ← 01 status (0 = accepted)
//!   → 05 command 00 address port(2)            ← 05 reply 00 address port(2)     command: 01 CONNECT, 03 UDP ASSOCIATE
//!   address: 01 ipv4(4) | 03 length name | 04 ipv6(16)
//!   ↔ 00 00 fragment address port(2) payload     a datagram, to and from the address of the reply
//! ```

use std::net::IpAddr;

use hezar_core::{Host, Target};

use crate::{Cause, protocol::address::take_socks};

/// No credentials.
pub(super) const METHOD_NONE: u8 = 0;
/// User name and password.
pub(super) const METHOD_PASSWORD: u8 = 2;

/// Appends an address and its port as SOCKS5 writes them: kind, address, port in network order.
pub(crate) fn put_address(out: &mut Vec<u8>, target: &Target) {
    match target.host() {
        Host::Ip(IpAddr::V4(address)) => {
            out.push(1);
            out.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            // A domain name has at most 253 bytes.
            let name = name.as_str().as_bytes();
            out.push(3);
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(&name[..name.len().min(255)]);
        }
    }
    out.extend_from_slice(&target.port().to_be_bytes());
}

/// The first message of SOCKS5.
pub(super) const fn greeting(with_password: bool) -> &'static [u8] {
    // With credentials both methods are offered, since some servers know us by our address and choose no password.
    if with_password { &[5, 2, METHOD_NONE, METHOD_PASSWORD] } else { &[5, 1, METHOD_NONE] }
}

/// Reads the server's choice of method.
///
/// # Errors
/// [`Cause::Authentication`] when it accepts none that we offered.
pub(super) const fn method(answer: [u8; 2], with_password: bool) -> Result<u8, Cause> {
    match answer {
        [5, METHOD_NONE] => Ok(METHOD_NONE),
        [5, METHOD_PASSWORD] if with_password => Ok(METHOD_PASSWORD),
        // 255, or 2 although it was not offered: the server wants credentials that we do not have.
        [5, METHOD_PASSWORD | 255] => Err(Cause::Authentication),
        [5, _] => Err(Cause::Protocol("the SOCKS server chose a method that was not offered")),
        _ => Err(Cause::Protocol("the server does not speak SOCKS5")),
    }
}

/// The message with user name and password; each must have 255 bytes or fewer.
pub(super) fn password(username: &str, password: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + username.len() + password.len());
    out.push(1);
    for text in [username, password] {
        let text = &text.as_bytes()[..text.len().min(255)];
        out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(text);
    }
    out
}

/// Reads the answer to the password.
///
/// # Errors
/// [`Cause::Authentication`] when it was refused.
pub(super) const fn password_answer([_, status]: [u8; 2]) -> Result<(), Cause> {
    if status == 0 { Ok(()) } else { Err(Cause::Authentication) }
}

/// The CONNECT request of SOCKS5.
pub(super) fn request(target: &Target) -> Vec<u8> {
    let mut out = Vec::with_capacity(262);
    out.extend_from_slice(&[5, 1, 0]);
    put_address(&mut out, target);
    out
}

/// The UDP ASSOCIATE request of SOCKS5. Its address is zero, since we do not know our own address as the server sees it.
pub(super) const ASSOCIATE: [u8; 10] = [5, 3, 0, 1, 0, 0, 0, 0, 0, 0];

/// A datagram for `target`.
pub(super) fn datagram(target: &Target, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(262 + payload.len());
    out.extend_from_slice(&[0, 0, 0]);
    put_address(&mut out, target);
    out.extend_from_slice(payload);
    out
}

/// Reads the sender and the payload of a datagram; `None` for fragments, which RFC 1928 §7 allows to drop, and for malformed
/// datagrams.
pub(super) fn open_datagram(bytes: &[u8]) -> Option<(Target, &[u8])> {
    let rest = bytes.strip_prefix(&[0, 0, 0])?;
    let (from, used) = take_socks(rest).ok()??;
    Some((from?, rest.get(used..)?))
}

/// Reads the first five bytes of the reply, and returns how many bytes of address and port are still to come.
///
/// # Errors
/// The cause of a reply that refuses, see [`reply_cause`]; [`Cause::Protocol`] for a malformed reply.
pub(super) fn reply(front: [u8; 5]) -> Result<usize, Cause> {
    match front {
        [5, 0, _, 1, _] => Ok(3 + 2),
        [5, 0, _, 3, length] => Ok(usize::from(length) + 2),
        [5, 0, _, 4, _] => Ok(15 + 2),
        [5, 0, ..] => Err(Cause::Protocol("the SOCKS reply has an unknown kind of address")),
        [5, code, ..] => Err(reply_cause(code)),
        _ => Err(Cause::Protocol("the server does not speak SOCKS5")),
    }
}

/// The cause that a reply code of RFC 1928 §6 stands for.
pub(super) const fn reply_cause(code: u8) -> Cause {
    match code {
        1 => Cause::ServerFailure("general SOCKS failure"),
        2 => Cause::Forbidden,
        3 => Cause::TargetUnreachable("network unreachable"),
        4 => Cause::TargetUnreachable("host unreachable"),
        5 => Cause::TargetUnreachable("connection refused"),
        6 => Cause::TargetUnreachable("time to live expired"),
        7 => Cause::ServerFailure("the SOCKS server does not know the command"),
        8 => Cause::ServerFailure("the SOCKS server does not know this kind of address"),
        _ => Cause::Protocol("the SOCKS reply has an unknown code"),
    }
}

/// The CONNECT request of SOCKS4, or of 4a when the target is a name.
pub(super) fn request4(target: &Target, username: &str) -> Result<Vec<u8>, Cause> {
    let (address, name) = match target.host() {
        Host::Ip(IpAddr::V4(address)) => (address.octets(), None),
        Host::Ip(IpAddr::V6(_)) => return Err(Cause::Unsupported("an IPv6 target over SOCKS4")),
        Host::Name(name) => ([0, 0, 0, 1], Some(name)),
    };
    let mut out = vec![4, 1];
    out.extend_from_slice(&target.port().to_be_bytes());
    out.extend_from_slice(&address);
    out.extend_from_slice(username.as_bytes());
    out.push(0);
    if let Some(name) = name {
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(0);
    }
    Ok(out)
}

/// Reads the reply of SOCKS4.
///
/// # Errors
/// [`Cause`] for every code but 90. Code 91 says only "rejected or failed", which may mean the target or the server.
pub(super) const fn reply4(answer: [u8; 8]) -> Result<(), Cause> {
    match answer {
        [0, 90, ..] => Ok(()),
        [0, 91, ..] => Err(Cause::TargetUnreachable("rejected or failed")),
        [0, 92 | 93, ..] => Err(Cause::Authentication),
        _ => Err(Cause::Protocol("the server does not speak SOCKS4")),
    }
}
