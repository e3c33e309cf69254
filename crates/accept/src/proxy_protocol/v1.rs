//! Version 1 of the PROXY protocol: one line of text (proxy-protocol.txt, section 2.1).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{HeaderError, ProxiedBy, ProxyHeader, agrees};

/// How every line begins.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, with its end.
const MAX_LINE: usize = 107;

/// Whether the bytes may begin a line.
pub(super) fn begins(bytes: &[u8]) -> bool {
    agrees(bytes, SIGNATURE)
}

/// Reads the line at the front; `None` while its end has not come.
///
/// # Errors
/// [`HeaderError`].
pub(super) fn read(bytes: &[u8]) -> Result<Option<ProxyHeader>, HeaderError> {
    let line = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(HeaderError::TooLong) };
    };
    let text = line.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let text = text.ok_or(HeaderError::Malformed("the line does not end with CR LF"))?;
    let text = std::str::from_utf8(text).map_err(|_| HeaderError::Malformed("the line is no text"))?;
    Ok(Some(ProxyHeader { by: line_says(text)?, length: end + 1 }))
}

/// What a line without its end says.
fn line_says(line: &str) -> Result<ProxiedBy, HeaderError> {
    let mut words = line.split(' ');
    // The signature is there already.
    words.next();
    match words.next() {
        // What follows means nothing.
        Some("UNKNOWN") => Ok(ProxiedBy::Proxy),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => Err(HeaderError::Malformed("the protocol is not TCP4, TCP6 or UNKNOWN")),
    }
}

/// The source of `source destination port port`; the destination is only looked at.
fn addresses<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Result<ProxiedBy, HeaderError>
where
    A: FromStr + Into<IpAddr>,
{
    let mut address = || words.next().and_then(|word| word.parse::<A>().ok()).map(Into::into);
    let (source, destination) = (address(), address());
    let (Some(source), Some(_)) = (source, destination) else {
        return Err(HeaderError::Malformed("an address cannot be read"));
    };
    let mut port = || words.next().and_then(port_number);
    let (source_port, destination_port) = (port(), port());
    match (source_port, destination_port, words.next()) {
        (Some(port), Some(_), None) => Ok(ProxiedBy::Client(SocketAddr::new(source, port))),
        _ => Err(HeaderError::Malformed("a port cannot be read")),
    }
}

/// A port without a sign or needless zeros in front.
fn port_number(word: &str) -> Option<u16> {
    let plain = word == "0" || word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
    if plain { word.parse().ok() } else { None }
}
