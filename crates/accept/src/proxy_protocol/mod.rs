//! The PROXY protocol, versions 1 and 2: a proxy in front says in a header which client a connection comes from.
//!
//! The source is haproxy's specification (proxy-protocol.txt, sections 2.1 and 2.2):
//!
//! ```text
//! v1: "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP port SP port CRLF      at most 107 bytes
//!     "PROXY UNKNOWN" ... CRLF                                                         the addresses count for nothing
//! v2: 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | ver+command | family+protocol | length (2, big endian) | addresses, TLVs
//!     command 0 = LOCAL (the proxy itself, such as a health check), 1 = PROXY
//! ```

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use thiserror::Error;

/// The most bytes that a header may have. Version 2 allows 65,551; with all TLVs of the specification a header stays below 4 KiB.
pub const MAX_PROXY_HEADER: usize = 4096;

/// The header of a proxy that speaks for itself (version 2, LOCAL).
pub const PROXY_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Whom a connection comes from, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxiedBy {
    /// A client of the proxy, at this address.
    Client(SocketAddr),
    /// The proxy itself, or somebody whose address it does not know: the address of the connection counts.
    Proxy,
}

/// A header and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Whom the connection comes from.
    pub by: ProxiedBy,
    /// The bytes that it takes at the front.
    pub length: usize,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes begin neither version.
    #[error("there is no header of the PROXY protocol in front")]
    Absent,
    /// The header is longer than [`MAX_PROXY_HEADER`], or a line of version 1 than 107 bytes.
    #[error("the header of the PROXY protocol is too long")]
    TooLong,
    /// The header does not follow the specification.
    #[error("the header of the PROXY protocol is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the header at the front of `bytes`; `None` while more bytes are needed.
///
/// # Errors
/// [`HeaderError`] as soon as it is certain that there is no good header, however few bytes there are.
pub fn read_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, HeaderError> {
    if v2::begins(bytes) {
        return v2::read(bytes);
    }
    if v1::begins(bytes) {
        return v1::read(bytes);
    }
    Err(HeaderError::Absent)
}

/// Whether these bytes are, beyond doubt, the beginning of a header: the whole signature of version 2 or `PROXY `.
#[must_use]
pub fn begins_proxy_header(bytes: &[u8]) -> bool {
    bytes.starts_with(v2::SIGNATURE) || bytes.starts_with(v1::SIGNATURE)
}

/// Whether `bytes` and `signature` agree as far as both go.
fn agrees(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}
