//! Decoders of what clients send, for the fuzz targets.

use std::hint::black_box;

use crate::inbound;

/// The head of an HTTP request and the body behind it.
pub fn http_request(data: &[u8]) {
    black_box(inbound::reads_request(data));
}

/// A datagram of a SOCKS5 client.
pub fn datagram(data: &[u8]) {
    black_box(inbound::reads_datagram(data));
}
