//! The bytes of Trojan (trojan-gfw.github.io/trojan/protocol).
//!
//! ```text
//! | hex(SHA-224(password)) | CR LF | CMD | ATYP | address | port | CR LF | payload …
//! |          56            |   2   |  1  |   1  |   var   |  2   |   2   |
//! ```
//! The answer is payload from its first byte.

use aws_lc_rs::digest::{SHA224, digest};
use hezar_core::Target;

use crate::protocol::address::{MAX_ADDRESS, put_socks};

/// The hashed password in hexadecimal digits.
pub(super) type Key = [u8; 56];

/// Open a TCP stream.
const CONNECT: u8 = 1;
const CRLF: &[u8] = b"\r\n";

/// Hashes a password.
pub(super) fn key(password: &str) -> Key {
    let mut key = [0; 56];
    // 28 bytes make 56 digits; the lengths cannot differ.
    let _ = hex::encode_to_slice(digest(&SHA224, password.as_bytes()), &mut key);
    key
}

/// The request for a TCP stream to `target`.
pub(super) fn request(key: &Key, target: &Target) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 2 + 1 + MAX_ADDRESS + 2);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(CRLF);
    bytes.push(CONNECT);
    put_socks(target, &mut bytes);
    bytes.extend_from_slice(CRLF);
    bytes
}
